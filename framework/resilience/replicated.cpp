#include "framework/resilience/replicated.hpp"

#include "framework/resilience/records.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace cohort::resilience {
namespace {

constexpr char input_kind = 1, acks_kind = 2;
constexpr std::uint64_t format = 1;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct input {
  std::string from, body;
  std::uint64_t number = 0, low = 0;
  message as_message() const { return {from, number, body, low}; }
};
struct acks {
  fencing_token activation = 0;
  std::vector<acknowledgement> list;
};

/// Anybody may have submitted it.
std::optional<input> read_input(std::string_view bytes) try {
  if (bytes.empty() || bytes[0] != input_kind) return std::nullopt;
  string_source in(bytes.substr(1));
  input i;
  i.from = in.read_bytes();
  i.number = in.read_u64();
  i.low = in.read_u64();
  i.body = in.read_bytes();
  if (in.left() != 0 || i.from.size() > stable_name_bytes_max || i.from.empty() != (i.number == 0)) return std::nullopt;
  return i;
} catch (const truncated_checkpoint&) {
  return std::nullopt;
}

std::optional<acks> read_acks(std::string_view bytes) try {
  if (bytes.empty() || bytes[0] != acks_kind) return std::nullopt;
  string_source in(bytes.substr(1));
  acks a;
  a.activation = in.read_u64();
  for (auto n = in.read_u64(); n > 0; --n) {
    auto to = in.read_bytes();
    a.list.push_back({std::move(to), in.read_u64()});
  }
  return a;
} catch (const truncated_checkpoint&) {
  return std::nullopt;
}

void put(state_update& change, const std::string& bytes) { change.write(std::as_bytes(std::span(bytes))); }

void write_answer(reply& to, outcome_kind what, std::string_view body = {}) {
  const auto kind = static_cast<char>(what);
  to.write(std::string_view(&kind, 1));
  to.write(body);
}

}  // namespace

std::string input_request(const message& in) {
  string_sink out;
  out.bytes += input_kind;
  out.write_bytes(in.from);
  out.write_u64(in.number);
  out.write_u64(in.low);
  out.write_bytes(in.body);
  return std::move(out.bytes);
}

std::string acks_request(fencing_token activation, const std::vector<acknowledgement>& list) {
  string_sink out;
  out.bytes += acks_kind;
  out.write_u64(activation);
  out.write_u64(list.size());
  for (const auto& a : list) {
    out.write_bytes(a.to);
    out.write_u64(a.number);
  }
  return std::move(out.bytes);
}

request_answer read_answer(std::span<const std::byte> bytes) {
  const auto text = text_of(bytes);
  if (text.empty() || text[0] > static_cast<char>(outcome_kind::malformed)) return {};
  return {static_cast<outcome_kind>(text[0]), text.substr(1)};
}

replicated_process::replicated_process(resilient_factory make, memory_limits how, unsigned poison_after,
                                       replicated_calls calls)
    : make_(std::move(make)),
      limits_(how),
      poison_after_(std::max(poison_after, 1u)),
      calls_(std::move(calls)),
      state_(make_) {}

void replicated_process::execute(const delivery& request, state_update& change, reply& answer) {
  const auto bytes = text_of(request.payload);
  if (const auto in = read_input(bytes)) return take(in->as_message(), request.time, change, answer);
  const auto a = read_acks(bytes);
  if (!a) return write_answer(answer, outcome_kind::malformed);
  if (a->activation != activation_) return;  // R7: it will acknowledge to the one that sends now
  record r;
  r.version = state_.machine().version();
  r.time = request.time;
  r.acks = a->list;
  r.acks_only = true;
  put(change, encode(r));
}

void replicated_process::take(const message& in, wall_time now, state_update& change, reply& answer) const {
  const process_state::sender* known = nullptr;
  switch (state_.look(in, limits_, known)) {
    case verdict::duplicate: return write_answer(answer, outcome_kind::replied, known->reply);
    case verdict::outdated: return write_answer(answer, outcome_kind::outdated);
    case verdict::gap: return write_answer(answer, outcome_kind::gap);
    case verdict::full: return write_answer(answer, outcome_kind::full);
    case verdict::taken:
    case verdict::answered: break;
  }
  std::string text;
  const auto event = state_.decide(in, now, activation_, limits_, text);
  if (!event) return write_answer(answer, outcome_kind::replied, text);
  put(change, encode(*event));
}

void replicated_process::perform(std::span<const std::byte> change, reply& answer) {
  write_answer(answer, outcome_kind::replied, state_.apply(decode(text_of(change)), state_.applied() + 1));
}

void replicated_process::apply(std::span<const std::byte> change) {
  const auto r = decode(text_of(change));
  if (r.version > state_.machine().version())
    throw std::runtime_error("version " + std::to_string(r.version) + " of the application decided an event, this is version " +
                             std::to_string(state_.machine().version()) + "; start the newer program here");
  state_.apply(r, state_.applied() + 1);
}

void replicated_process::query(std::span<const std::byte> question, reply& answer) const {
  std::string text;
  const auto in = read_input(text_of(question));
  if (!in || !in->from.empty() || state_.decide(in->as_message(), {}, activation_, limits_, text))
    return write_answer(answer, outcome_kind::malformed);
  write_answer(answer, outcome_kind::replied, text);
}

void replicated_process::checkpoint(sink& out) const {
  out.write_u64(format);
  out.write_u64(state_.machine().version());
  state_.checkpoint(out);
}

void replicated_process::restore(source& in) {
  if (const auto f = in.read_u64(); f != format)
    throw truncated_checkpoint("the checkpoint of a replicated process has format " + std::to_string(f) +
                               "; this program reads " + std::to_string(format));
  state_ = process_state(make_);
  const auto version = in.read_u64();
  if (version > state_.machine().version())
    throw truncated_checkpoint("version " + std::to_string(version) + " of the application wrote the checkpoint, this is version " +
                               std::to_string(state_.machine().version()) + "; start the newer program here");
  state_.restore(in, static_cast<std::uint32_t>(version));
}

/// The agreed copy: all that is in it has been accepted, so it will be in every later one (R8).
void replicated_process::act(view_number office) {
  const auto activation = activation_of(office);
  const bool begins = std::exchange(acted_for_, activation) != activation;
  if (begins) state_.rewind();  // what an earlier activation sent may not have arrived
  auto effects = state_.take_effects(state_.applied());
  if (calls_.tell) calls_.tell(activation, state_, begins);
  if (!effects.empty() && calls_.release) calls_.release(activation, std::move(effects));
}

after_failure replicated_process::failed(const delivery& request, unsigned times, const std::string& why, reply& answer) {
  if (times < poison_after_) return after_failure::again;
  const auto in = read_input(text_of(request.payload));
  if (calls_.put_aside) calls_.put_aside(in ? in->from : "", in ? in->number : 0, why);
  write_answer(answer, outcome_kind::failed, why);
  return after_failure::settle;
}

}  // namespace cohort::resilience
