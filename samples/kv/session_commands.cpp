#include "samples/kv/commands.hpp"
#include "samples/kv/executor.hpp"
#include "samples/kv/numbers.hpp"
#include "samples/kv/session.hpp"

#include <algorithm>
#include <cstdio>

namespace kv {

namespace {

using words = std::span<const std::string_view>;

std::string lower(std::string_view text) {
  std::string result(text);
  for (auto& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

void unknown_subcommand(words argv, reply_writer& out) {
  auto container = std::string(argv[0]);
  for (auto& c : container)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  out.error("ERR unknown subcommand '" + one_line(argv[1].substr(0, 128)) + "'. Try " + container + " HELP.");
}

// ---- connection -----------------------------------------------------------------------------------------------------

void ping(words argv, reply_writer& out) {
  if (argv.size() > 2) return wrong_arity("ping", out);
  if (argv.size() == 1) out.simple("PONG");
  else out.bulk(argv[1]);
}

void select(words argv, reply_writer& out) {
  const auto number = parse_integer(argv[1]);
  if (!number) return out.error(not_an_integer);
  if (*number < INT32_MIN || *number > INT32_MAX)
    return out.error("ERR value is out of range, value must between -2147483648 and 2147483647");
  if (*number != 0) return out.error("ERR DB index is out of range");
  out.ok();
}

bool is_client_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; });
}

constexpr std::string_view bad_client_name =
    "ERR Client names cannot contain spaces, newlines or special characters.";

void hello(session& who, words argv, reply_writer& out) {
  auto protocol = who.protocol;
  if (argv.size() > 1) {
    const auto number = parse_integer(argv[1]);
    if (!number) return out.error("ERR Protocol version is not an integer or out of range");
    if (*number < 2 || *number > 3) return out.error("NOPROTO unsupported protocol version");
    protocol = static_cast<int>(*number);
  }
  for (std::size_t i = 2; i < argv.size();) {
    const auto left = argv.size() - i - 1;
    if (same_word(argv[i], "auth") && left >= 2) {
      if (argv[i + 1] != "default") return out.error("WRONGPASS invalid username-password pair or user is disabled.");
      i += 3;
    } else if (same_word(argv[i], "setname") && left >= 1) {
      if (!is_client_name(argv[i + 1])) return out.error(bad_client_name);
      who.name = argv[i + 1];
      i += 2;
    } else {
      return out.error("ERR Syntax error in HELLO option '" + one_line(argv[i].substr(0, 128)) + "'");
    }
  }
  who.protocol = protocol;
  out.map(7);
  out.bulk("server"), out.bulk("redis");
  out.bulk("version"), out.bulk("7.0.15");
  out.bulk("proto"), out.integer(protocol);
  out.bulk("id"), out.integer(static_cast<std::int64_t>(who.id));
  out.bulk("mode"), out.bulk("standalone");
  out.bulk("role"), out.bulk("master");
  out.bulk("modules"), out.array(0);
}

std::string client_info(const session& who) {
  const auto now = std::chrono::steady_clock::now();
  const auto seconds = [&](auto since) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now - since).count());
  };
  return "id=" + std::to_string(who.id) + " addr=" + who.address + " laddr=" + who.local_address + " name=" + who.name +
         " age=" + seconds(who.since) + " idle=" + seconds(who.last) +
         " flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 cmd=client|info user=default redir=-1 resp=" +
         std::to_string(who.protocol) + "\n";
}

void client(session& who, words argv, reply_writer& out) {
  const auto sub = lower(argv[1].substr(0, 32));
  const auto exactly = [&](std::size_t words_wanted) {
    if (argv.size() == words_wanted) return true;
    wrong_arity("client|" + sub, out);
    return false;
  };
  if (sub == "setname") {
    if (!exactly(3)) return;
    if (!is_client_name(argv[2])) return out.error(bad_client_name);
    who.name = argv[2];
    out.ok();
  } else if (sub == "getname") {
    if (!exactly(2)) return;
    if (who.name.empty()) out.null();
    else out.bulk(who.name);
  } else if (sub == "id") {
    if (exactly(2)) out.integer(static_cast<std::int64_t>(who.id));
  } else if (sub == "info") {
    if (exactly(2)) out.verbatim(client_info(who));
  } else {
    unknown_subcommand(argv, out);
  }
}

// ---- COMMAND --------------------------------------------------------------------------------------------------------

/// Calls `visit` with each word of a list.
template <class Visit>
std::size_t for_words(std::string_view list, char separator, Visit visit) {
  std::size_t count = 0;
  while (!list.empty()) {
    const auto end = std::min(list.find(separator), list.size());
    visit(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    ++count;
  }
  return count;
}

std::size_t count_words(std::string_view list, char separator = ' ') {
  return for_words(list, separator, [](std::string_view) {});
}

void write_key_specifications(const command_info& c, reply_writer& out) {
  out.set(count_words(c.key_flags, ';'));
  int number = c.first_key;
  const bool several = count_words(c.key_flags, ';') > 1;
  for_words(c.key_flags, ';', [&](std::string_view flags) {
    const std::string_view note = c.id == command_id::set     ? "RW and ACCESS due to the optional `GET` argument"
                                  : c.id == command_id::getex ? "RW and UPDATE because it changes the TTL"
                                                              : "";
    out.map(note.empty() ? 3 : 4);
    if (!note.empty()) out.bulk("notes"), out.bulk(note);
    out.bulk("flags");
    out.set(count_words(flags));
    for_words(flags, ' ', [&](std::string_view flag) { out.simple(flag); });
    out.bulk("begin_search");
    out.map(2);
    out.bulk("type"), out.bulk("index");
    out.bulk("spec"), out.map(1), out.bulk("index"), out.integer(number);
    out.bulk("find_keys");
    out.map(2);
    out.bulk("type"), out.bulk("range");
    out.bulk("spec"), out.map(3);
    out.bulk("lastkey"), out.integer(several ? 0 : c.last_key < 0 ? c.last_key : 0);
    out.bulk("keystep"), out.integer(c.step);
    out.bulk("limit"), out.integer(0);
    ++number;
  });
}

void write_command_info(const command_info& c, reply_writer& out) {
  out.array(10);
  out.bulk(c.name);
  out.integer(c.arity);
  out.set(count_words(c.flags));
  for_words(c.flags, ' ', [&](std::string_view flag) { out.simple(flag); });
  out.integer(c.first_key);
  out.integer(c.last_key);
  out.integer(c.step);
  out.set(count_words(c.acl));
  for_words(c.acl, ' ', [&](std::string_view category) { out.simple(category); });
  out.set(count_words(c.tips));
  for_words(c.tips, ' ', [&](std::string_view tip) { out.bulk(tip); });
  write_key_specifications(c, out);
  out.set(0);
}

void write_command_docs(const command_info& c, reply_writer& out) {
  out.bulk(c.name);
  out.map(3);
  out.bulk("summary"), out.bulk(c.summary);
  out.bulk("since"), out.bulk(c.since);
  out.bulk("group"), out.bulk(c.group);
}

void describe(words argv, reply_writer& out) {
  const auto all = all_commands();
  const auto sub = argv.size() > 1 ? lower(argv[1].substr(0, 32)) : std::string("info");
  const auto names = argv.subspan(std::min<std::size_t>(argv.size(), 2));
  if (sub == "count") {
    if (!names.empty()) return wrong_arity("command|count", out);
    out.integer(static_cast<std::int64_t>(all.size()));
  } else if (sub == "info") {
    out.array(names.empty() ? all.size() : names.size());
    if (names.empty())
      for (const auto& c : all) write_command_info(c, out);
    for (const auto name : names) {
      const auto* c = find_command(name);
      if (c != nullptr) write_command_info(*c, out);
      else out.null();
    }
  } else if (sub == "docs") {
    std::vector<const command_info*> wanted;
    if (names.empty())
      for (const auto& c : all) wanted.push_back(&c);
    for (const auto name : names)
      if (const auto* c = find_command(name)) wanted.push_back(c);
    out.map(wanted.size());
    for (const auto* c : wanted) write_command_docs(*c, out);
  } else {
    unknown_subcommand(argv, out);
  }
}

// ---- CONFIG, TIME, WAIT ---------------------------------------------------------------------------------------------

void config(const session_services& services, words argv, reply_writer& out) {
  if (!same_word(argv[1], "get")) {
    for (const auto known : {"set", "rewrite", "resetstat"})
      if (same_word(argv[1], known))
        return out.error("ERR the configuration cannot be changed while the node runs; edit its file and restart it");
    return unknown_subcommand(argv, out);
  }
  if (argv.size() < 3) return wrong_arity("config|get", out);
  std::vector<const std::pair<std::string, std::string>*> found;
  for (const auto& parameter : services.parameters())
    if (std::any_of(argv.begin() + 2, argv.end(),
                    [&](std::string_view pattern) { return glob_match(lower(pattern), parameter.first); }))
      found.push_back(&parameter);
  out.map(found.size());
  for (const auto* parameter : found) {
    out.bulk(parameter->first);
    out.bulk(parameter->second);
  }
}

void time(reply_writer& out) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(
                      std::chrono::system_clock::now().time_since_epoch()).count();
  out.array(2);
  out.bulk(std::to_string(us / 1'000'000));
  out.bulk(std::to_string(us % 1'000'000));
}

/// Writes are answered when a quorum has them, so at least so many other members do, and more is not known here: there
/// is nothing to wait for.
void wait(const session_services& services, words argv, reply_writer& out) {
  const auto wanted = parse_integer(argv[1]);
  if (!wanted) return out.error(not_an_integer);
  const auto limit = parse_integer(argv[2]);
  if (!limit) return out.error("ERR timeout is not an integer or out of range");
  if (*limit < 0) return out.error("ERR timeout is negative");
  const auto status = services.status();
  const auto voters = std::count_if(status.members.begin(), status.members.end(), [](auto& m) { return m.voter; });
  out.integer(voters / 2);  // a quorum is one more than half of them, this node or the leader counted
}

}  // namespace

std::string unknown_command(words argv) {
  auto text = "ERR unknown command '" + one_line(argv[0].substr(0, 128)) + "', with args beginning with: ";
  std::size_t shown = 0;
  for (std::size_t i = 1; i < argv.size() && shown < 128; ++i) {
    const auto part = argv[i].substr(0, 128 - shown);
    std::string word(part);
    for (auto& c : word)
      if (c == '\r' || c == '\n') c = ' ';
    text += "'" + word + "' ";
    shown += part.size() + 3;
  }
  return text;
}

void run_session_command(session& who, const session_services& services, words argv, reply_writer& out) {
  const auto name = find_command(argv[0])->name;
  if (name == "ping") ping(argv, out);
  else if (name == "echo") out.bulk(argv[1]);
  else if (name == "select") select(argv, out);
  else if (name == "quit") who.quit = true, out.ok();
  else if (name == "hello") hello(who, argv, out);
  else if (name == "client") client(who, argv, out);
  else if (name == "command") describe(argv, out);
  else if (name == "config") config(services, argv, out);
  else if (name == "time") time(out);
  else if (name == "wait") wait(services, argv, out);
  else out.error("ERR '" + std::string(name) + "' cannot run here");
}

std::string cohort_section(const cohort::group_status& s, std::string_view state_digest) {
  std::string members;
  for (const auto& m : s.members) members += (members.empty() ? "" : ",") + m.name;
  const auto line = [](std::string_view key, const std::string& value) {
    return std::string(key) + ":" + one_line(value) + "\r\n";
  };
  return "# Cohort\r\n" + line("group", s.group) + line("node", s.self) + line("view", std::to_string(s.view)) +
         line("members", members) + line("leader", s.leader) + line("role", s.role) +
         line("primary", s.primary ? "1" : "0") + line("term", std::to_string(s.term)) +
         line("incarnation", std::to_string(s.incarnation)) + line("log_index", std::to_string(s.last)) +
         line("commit_index", std::to_string(s.commit)) + line("applied_index", std::to_string(s.applied)) +
         line("durable_index", std::to_string(s.durable)) + line("checkpoint_index", std::to_string(s.checkpoint)) +
         line("lag_entries", std::to_string(s.commit - std::min(s.applied, s.commit))) +
         line("delivered_messages", std::to_string(s.delivered)) +
         line("backlog_bytes", std::to_string(s.backlog_bytes)) +
         line("journal_bytes", std::to_string(s.journal_bytes)) + line("state_digest", std::string(state_digest)) +
         line("durability", s.durability) + line("trouble", s.trouble);
}

}  // namespace kv
