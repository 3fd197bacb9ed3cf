#include "framework/resilience/replicated.hpp"

#include "framework/resilience/records.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace cohort::resilience {
namespace {

constexpr char input_kind = 1, acks_kind = 2, pardon_kind = 3, replay_kind = 4;
constexpr std::uint64_t format = 3;  // 1: without inputs that are refused; 2: these have all ended processes
/// Of a verdict: the input is refused, since it ended processes, or since it threw.
constexpr std::uint64_t pardoned = 0, for_its_ends = 1, for_throwing = 2;
/// Begins a change that is no record: an input is refused from there on, or is not any more.
constexpr std::uint64_t verdict_mark = 0x7464726576;
constexpr std::size_t refused_max = 256;
constexpr std::string_view ended_before = "it has ended the whole process before, and was put aside";
constexpr std::string_view threw_before = "it threw each time before, and was put aside";
constexpr std::string_view passed_before = "it was refused before, and its sender has gone on without it";

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct input {
  std::string from, body;
  std::uint64_t number = 0, low = 0;
  bool replayed = false;
  message as_message() const { return {from, number, body, low, replayed}; }
};
struct acks {
  fencing_token activation = 0;
  std::vector<acknowledgement> list;
};

/// Anybody may have submitted it.
std::optional<input> read_as(char kind, std::string_view bytes) try {
  if (bytes.empty() || bytes[0] != kind) return std::nullopt;
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

std::optional<input> read_input(std::string_view bytes) {
  if (auto in = read_as(input_kind, bytes)) return in;
  auto in = read_as(replay_kind, bytes);
  if (in) in->replayed = true;
  return in;
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

std::string request_of(char kind, const message& in) {
  string_sink out;
  out.bytes += kind;
  out.write_bytes(in.from);
  out.write_u64(in.number);
  out.write_u64(in.low);
  out.write_bytes(in.body);
  return std::move(out.bytes);
}

/// FNV-1a, which is the same at all members whatever program they run.
std::uint64_t digest_of(const message& in) {
  std::uint64_t digest = 14695981039346656037u;
  const auto fold = [&](std::string_view text) {
    for (const char c : text) digest = (digest ^ static_cast<unsigned char>(c)) * 1099511628211u;
  };
  fold(in.from);
  fold(std::string_view("\0", 1));
  fold(encode_u64(in.number));
  fold(in.body);
  return digest;
}

std::string verdict_on(const message& in, std::uint64_t what) {
  return encode_u64(verdict_mark) + encode_u64(digest_of(in)) + encode_u64(what);
}

void put(state_update& change, const std::string& bytes) { change.write(std::as_bytes(std::span(bytes))); }

void write_answer(reply& to, outcome_kind what, std::string_view body = {}) {
  const auto kind = static_cast<char>(what);
  to.write(std::string_view(&kind, 1));
  to.write(body);
}

}  // namespace

std::string input_request(const message& in) { return request_of(input_kind, in); }
std::string pardon_request(const message& in) { return request_of(pardon_kind, in); }
std::string replay_request(const message& in) { return request_of(replay_kind, in); }

std::optional<message> peek_input(std::span<const std::byte> request) {
  auto rest = text_of(request);
  const auto number = [&rest](std::uint64_t& into) {
    if (rest.size() < 8) return false;
    into = string_source(rest).read_u64();
    rest.remove_prefix(8);
    return true;
  };
  const auto text = [&](std::string_view& into) {
    std::uint64_t length = 0;
    if (!number(length) || length > rest.size()) return false;
    into = rest.substr(0, length);
    rest.remove_prefix(length);
    return true;
  };
  message m;
  if (rest.empty() || (rest[0] != input_kind && rest[0] != replay_kind)) return std::nullopt;
  rest.remove_prefix(1);
  if (!text(m.from) || !number(m.number) || !number(m.low) || !text(m.body) || !rest.empty()) return std::nullopt;
  return m;
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
  if (text.empty() || text[0] > static_cast<char>(outcome_kind::refused)) return {};
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
  if (const auto in = read_as(pardon_kind, bytes)) {
    put(change, verdict_on(in->as_message(), pardoned));
    return write_answer(answer, outcome_kind::replied);
  }
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
    case verdict::passed: return write_answer(answer, outcome_kind::refused, passed_before);
    case verdict::taken:
    case verdict::answered: break;
  }
  if (const auto* before = refused(in))
    return write_answer(answer, outcome_kind::refused, before->ended ? ended_before : threw_before);
  std::string text;
  const auto event = state_.decide(in, now, activation_, limits_, text);
  if (!event) return write_answer(answer, outcome_kind::replied, text);
  put(change, encode(*event));
}

void replicated_process::perform(std::span<const std::byte> change, reply& answer) {
  if (take_verdict(change)) return;
  write_answer(answer, outcome_kind::replied, state_.apply(decode(text_of(change)), state_.applied() + 1));
}

void replicated_process::apply(std::span<const std::byte> change) {
  if (take_verdict(change)) return;
  const auto r = decode(text_of(change));
  if (r.version > state_.machine().version())
    throw std::runtime_error("version " + std::to_string(r.version) + " of the application decided an event, this is version " +
                             std::to_string(state_.machine().version()) + "; start the newer program here");
  state_.apply(r, state_.applied() + 1);
}

/// R9
bool replicated_process::take_verdict(std::span<const std::byte> change) {
  string_source in(text_of(change));
  if (in.read_u64() != verdict_mark) return false;
  const auto digest = in.read_u64();
  std::erase_if(refused_, [&](const condemned& c) { return c.digest == digest; });
  if (const auto what = in.read_u64(); what != pardoned) refused_.push_back({digest, what == for_its_ends});
  if (refused_.size() <= refused_max) return true;
  // One that throws costs less than one that ends processes.
  const auto threw_first = std::ranges::find(refused_, false, &condemned::ended);
  refused_.erase(threw_first == refused_.end() ? refused_.begin() : threw_first);
  return true;
}

const replicated_process::condemned* replicated_process::refused(const message& in) const {
  if (refused_.empty()) return nullptr;
  const auto found = std::ranges::find(refused_, digest_of(in), &condemned::digest);
  return found == refused_.end() ? nullptr : &*found;
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
  out.write_u64(refused_.size());
  for (const auto& c : refused_) {
    out.write_u64(c.digest);
    out.write_u64(c.ended);
  }
  state_.checkpoint(out);
}

void replicated_process::restore(source& in) {
  const auto f = in.read_u64();
  if (f == 0 || f > format)
    throw truncated_checkpoint("the checkpoint of a replicated process has format " + std::to_string(f) +
                               "; this program reads " + std::to_string(format));
  state_ = process_state(make_);
  const auto version = in.read_u64();
  if (version > state_.machine().version())
    throw truncated_checkpoint("version " + std::to_string(version) + " of the application wrote the checkpoint, this is version " +
                               std::to_string(state_.machine().version()) + "; start the newer program here");
  refused_.clear();
  for (auto n = f == 1 ? 0 : in.read_u64(); n > 0; --n) {
    const auto digest = in.read_u64();
    refused_.push_back({digest, f == 2 || in.read_u64() != 0});
  }
  state_.restore(in, static_cast<std::uint32_t>(version), f);
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

after_failure replicated_process::failed(const delivery& request, unsigned times, const std::string& why, state_update& change,
                                         reply& answer) {
  if (times < poison_after_) return after_failure::again;
  const auto in = read_input(text_of(request.payload));
  if (in && calls_.put_aside) calls_.put_aside(in->as_message(), false, times, why);
  if (in && !in->from.empty()) put(change, verdict_on(in->as_message(), for_throwing));
  write_answer(answer, outcome_kind::failed, why);
  return after_failure::settle;
}

after_failure replicated_process::ended_process(const delivery& request, unsigned times, state_update& change, reply& answer) {
  const auto in = read_input(text_of(request.payload));
  if (times < poison_after_ || !in) return after_failure::again;
  if (const auto* known = refused(in->as_message()); known && known->ended) {  // put aside as another request
    write_answer(answer, outcome_kind::refused, ended_before);
    return after_failure::settle;
  }
  const auto why = "it ended the whole process " + std::to_string(times) + (times == 1 ? " time" : " times") + ", at all nodes together";
  if (calls_.put_aside) calls_.put_aside(in->as_message(), true, times, why);
  put(change, verdict_on(in->as_message(), for_its_ends));
  write_answer(answer, outcome_kind::deadly, why);
  return after_failure::settle;
}

}  // namespace cohort::resilience
