#include "samples/kv/store.hpp"

#include "samples/kv/executor.hpp"

#include <array>
#include <utility>

namespace kv {

namespace {

constexpr std::string_view bad_message = "ERR this message is no command of the key-value service; it changed nothing";

const handlers& handlers_of(command_id id) {
  static const auto table = [] {
    std::array<handlers, 256> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
      for (const auto part : {string_handlers, key_handlers, hash_handlers})
        if (const auto found = part(static_cast<command_id>(i)); found.write != nullptr || found.read != nullptr)
          all[i] = found;
    return all;
  }();
  return table[static_cast<std::size_t>(id)];
}

/// False if the bytes name no command, or have a wrong number of arguments: no node sends such.
bool runnable(const command& c) {
  const auto* info = find_command(c.id);
  return info != nullptr && arity_fits(*info, c.args.size() + 1);
}

void run(keyspace& keys, const command& c, reply_writer& out) {
  const auto start = out.size();
  const auto& h = handlers_of(c.id);
  if (h.write != nullptr) h.write(keys, c.args, out);
  else h.read(keys, c.args, out);
  out.check(start);
}

bool read_all(message_reader& in, std::uint64_t count, std::vector<std::string_view>& args) {
  command c;
  for (; count > 0; --count)
    if (!in.read_command(c, args) || !runnable(c)) return false;
  return in.at_end();
}

/// WATCH, MULTI ... EXEC: all of it, or nothing if a watched key changed.
bool run_transaction(keyspace& keys, message_reader in, std::vector<std::string_view>& args, reply_writer& out) {
  std::uint64_t count = 0;
  bool unchanged = true;
  if (!in.read_number(count)) return false;
  for (; count > 0; --count) {
    std::string_view key;
    std::uint64_t token = 0;
    if (!in.read_string(key) || !in.read_number(token)) return false;
    unchanged &= keys.watch_token(key) == token;
  }
  if (!in.read_number(count)) return false;
  if (auto ahead = in; !read_all(ahead, count, args)) return false;  // before anything is changed
  if (!unchanged) {
    out.null_array();
    return true;
  }
  out.array(static_cast<std::size_t>(count));
  command c;
  for (; count > 0 && in.read_command(c, args); --count) run(keys, c, out);
  return true;
}

}  // namespace

store::store(std::function<void(std::int64_t)> on_next_due) : on_next_due_(std::move(on_next_due)) {}

void store::apply(const cohort::delivery& d, cohort::reply& answer) {
  keys_.begin(d.position, d.time.count(), d.sender_incarnation);
  reply_.clear();
  reply_writer out(reply_);
  message_reader in(d.payload);
  message_reader::kind kind{};
  bool understood = in.read_kind(kind);
  if (understood) {
    switch (kind) {
      case message_reader::kind::clock:
        understood = in.at_end();
        if (understood) out.ok();
        break;
      case message_reader::kind::command: {
        command c;
        understood = in.read_command(c, args_) && in.at_end() && runnable(c);
        if (understood) run(keys_, c, out);
        break;
      }
      case message_reader::kind::transaction:
        understood = run_transaction(keys_, in, args_, out);
        break;
    }
  }
  if (!understood) out.error(bad_message);
  answer.write(reply_);
  if (reply_.capacity() > (1u << 20)) std::string().swap(reply_);
  report_due();
}

void store::query(std::span<const std::byte> question, cohort::reply& answer) const {
  std::string reply, head;
  std::vector<std::string_view> args;
  const auto number = [&](std::uint64_t value) {
    head.clear();
    for (; value >= 0x80; value >>= 7) head.push_back(static_cast<char>(value | 0x80));
    head.push_back(static_cast<char>(value));
    answer.write(head);
  };
  number(static_cast<std::uint64_t>(keys_.now_us()));
  message_reader in(question);
  while (!in.at_end() && answer.bytes().size() < query_answer_bytes) {
    reply.clear();
    reply_writer out(reply);
    command c;
    const bool understood = in.read_command(c, args) && runnable(c) && handlers_of(c.id).read != nullptr;
    keys_.take_time_mattered();
    if (understood) {
      handlers_of(c.id).read(keys_, c.args, out);
      out.check(0);
    } else {
      out.error(bad_message);
    }
    number(keys_.take_time_mattered());
    number(reply.size());
    answer.write(reply);
    if (!understood) return;  // what follows cannot be told apart
  }
}

void store::checkpoint(cohort::sink& out) const { keys_.checkpoint(out); }

void store::restore(cohort::source& in) {
  keys_.restore(in);
  report_due();
}

void store::report_due() {
  if (const auto due = keys_.next_due(); on_next_due_ && due != reported_due_) on_next_due_(reported_due_ = due);
}

}  // namespace kv
