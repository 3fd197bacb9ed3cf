#include "samples/kv/connection.hpp"
#include "samples/kv/numbers.hpp"
#include "samples/kv/resp_render.hpp"

#include <algorithm>
#include <utility>

namespace kv {

namespace {

constexpr std::size_t watched_bytes_max = 4u << 20;

}  // namespace

// Order on one connection. A write may not pass a read that is still out, or the read could see it: it waits. A read
// after an unanswered write goes through the log behind it. So each connection sees its commands run one after the
// other, while writes, and reads among reads, are pipelined.

bool connection::blocked_for_order() const {
  return owner_.group().full() || owner_.group().must_wait(who_.id);
}

bool connection::dispatch() {
  const auto argv = parser_.argv();
  const auto* info = find_command(argv[0]);
  if (info == nullptr) {
    if (same_word(argv[0], "post") || same_word(argv[0], "host:")) {  // a browser was lured here
      dead_ = true;
      return true;
    }
    queue_error(unknown_command(argv));
    return true;
  }
  if (!arity_fits(*info, argv.size())) {
    queue_error("ERR wrong number of arguments for '" + std::string(info->name) + "' command");
    return true;
  }
  if (in_multi_ && info->name != "exec" && info->name != "discard" && info->name != "multi" && info->name != "watch" &&
      info->name != "quit")
    return dispatch_in_multi(*info);
  switch (info->kind) {
    case command_kind::write: return dispatch_write(*info);
    case command_kind::read: return ask(info->id, argv.subspan(1), kind::plain, nullptr);
    case command_kind::session: return dispatch_session(*info);
  }
  return true;
}

void connection::queue_error(std::string_view text) {
  multi_broken_ |= in_multi_;
  reply_error(text);
}

bool connection::fits(const bytes& message) {
  if (message.size() <= owner_.options().gateway.message_bytes_max) return true;
  owner_.group().forget_last();
  --pending_writes_;
  slots_.pop_back();
  reply_error("ERR the command is larger than the 16 MiB that one message of the group can carry; it was not executed");
  return false;
}

bool connection::dispatch_write(const command_info& info) {
  if (pending_reads_ > 0 || blocked_for_order()) return false;
  open_slot(stage::write, kind::plain);
  auto& message = owner_.group().ordered(place_of_last(), true);
  encode_command(info.id, parser_.argv().subspan(1), message);
  fits(message);
  return true;
}

bool connection::ask(command_id id, std::span<const std::string_view> args, kind what, std::unique_ptr<plan> extra) {
  if (blocked_for_order()) return false;
  const bool behind_write = pending_writes_ > 0;
  auto& s = open_slot(behind_write ? stage::write : stage::read, what);
  s.extra = std::move(extra);
  if (behind_write) encode_command(id, args, owner_.group().ordered(place_of_last(), false));
  else owner_.group().read(place_of_last(), id, args, owner_.group().options().reads);
  return true;
}

// ---- commands about the connection ----------------------------------------------------------------------------------

bool connection::dispatch_session(const command_info& info) {
  const auto argv = parser_.argv();
  const auto name = info.name;
  who_.last_command = name;
  if (name == "exec") return exec();
  if (name == "watch") return watch();
  if (name == "info") return dispatch_info();
  if (name == "multi") {
    if (in_multi_) reply_error("ERR MULTI calls can not be nested");
    else in_multi_ = true, reply_now("+OK\r\n");
    return true;
  }
  if (name == "discard" || name == "unwatch") {
    if (pending_watches_ > 0) return false;
    if (name == "discard" && !in_multi_) {
      reply_error("ERR DISCARD without MULTI");
      return true;
    }
    if (name == "discard") end_transaction();
    forget_watches();
    reply_now("+OK\r\n");
    return true;
  }
  std::string reply;
  reply_writer out(reply);
  run_session_command(who_, owner_, argv, out);
  reply_now(reply);
  return true;
}

bool connection::dispatch_info() {
  auto extra = std::make_unique<plan>();
  for (const auto word : parser_.argv().subspan(1)) extra->words.emplace_back(word);
  open_slot(stage::detached, kind::info).extra = std::move(extra);
  owner_.group().read(place_of_last(), command_id::summary, {}, cohort::reads::local);
  return true;
}

// ---- transactions ---------------------------------------------------------------------------------------------------

bool connection::watch() {
  if (in_multi_) {
    reply_error("ERR WATCH inside MULTI is not allowed");
    return true;
  }
  auto extra = std::make_unique<plan>();
  const auto keys = parser_.argv().subspan(1);
  std::size_t size = 0;
  for (const auto key : keys) size += key.size() + 64;
  if (watched_bytes_ + size > watched_bytes_max) {
    reply_error("ERR too many keys are watched; EXEC, DISCARD or UNWATCH first");
    return true;
  }
  for (const auto key : keys) extra->keys.emplace_back(key);
  if (!ask(command_id::watch_token, keys, kind::watch, std::move(extra))) return false;
  watched_bytes_ += size;
  return true;
}

bool connection::dispatch_in_multi(const command_info& info) {
  const auto argv = parser_.argv();
  std::size_t size = 16;
  for (const auto word : argv) size += word.size() + 5;
  if (queued_.size() + local_bytes_ + size > owner_.options().gateway.message_bytes_max) {
    queue_error("ERR the transaction is larger than the 16 MiB that one message of the group can carry");
    return true;
  }
  const bool is_info = info.name == "info";
  if (info.kind == command_kind::session) {
    local_bytes_ += size + sizeof(inserted) + argv.size() * sizeof(std::string);
    auto& local = locals_.emplace_back();
    local.place = multi_count_;
    local.argv.assign(argv.begin(), argv.end());
    local.info = is_info;
  }
  if (info.kind != command_kind::session || is_info) {
    append_command(is_info ? command_id::summary : info.id,
                   is_info ? std::span<const std::string_view>{} : argv.subspan(1), queued_);
    ++queued_count_;
  }
  ++multi_count_;
  reply_now("+QUEUED\r\n");
  return true;
}

void connection::end_transaction() {
  in_multi_ = multi_broken_ = false;
  queued_ = {};
  queued_count_ = multi_count_ = local_bytes_ = 0;
  locals_.clear();
}

void connection::forget_watches() {
  watches_.clear();
  watched_bytes_ = 0;
}

bool connection::exec() {
  if (!in_multi_) {
    reply_error("ERR EXEC without MULTI");
    return true;
  }
  if (pending_reads_ > 0 || pending_watches_ > 0 || blocked_for_order()) return false;
  if (multi_broken_) {
    end_transaction();
    forget_watches();
    reply_error("EXECABORT Transaction discarded because of previous errors.");
    return true;
  }
  auto extra = std::make_unique<plan>();
  extra->locals = std::move(locals_);
  extra->count = multi_count_;
  if (queued_count_ == 0 && watches_.empty()) {
    auto& s = open_slot(stage::ready, kind::exec);
    s.extra = std::move(extra);
    finish_slot(s, "*0\r\n");
    ready_bytes_ += s.reply.size();
  } else {
    std::vector<kv::watch> seen;
    for (const auto& [key, token] : watches_) seen.push_back({key, token});
    open_slot(stage::write, kind::exec).extra = std::move(extra);
    auto& message = owner_.group().ordered(place_of_last(), true);
    encode_transaction(seen, queued_, queued_count_, message);
    fits(message);
  }
  end_transaction();
  forget_watches();
  return true;
}

// ---- what the group answered ----------------------------------------------------------------------------------------

void connection::finish_slot(slot& s, std::string_view neutral) {
  switch (s.what) {
    case kind::plain:
      return render(neutral, s.protocol, s.reply);
    case kind::info: {
      std::string reply;
      reply_writer(reply).verbatim(owner_.info(s.extra->words, neutral));
      return render(reply, s.protocol, s.reply);
    }
    case kind::watch: {
      if (neutral.empty() || neutral[0] != '*') return render(neutral, s.protocol, s.reply);
      auto rest = neutral.substr(neutral.find("\r\n") + 2);
      for (auto& key : s.extra->keys) {
        const auto size = element_size(rest);
        const auto token = size < 4 ? std::nullopt : parse_integer(rest.substr(1, size - 3));
        rest.remove_prefix(size);
        watches_.try_emplace(std::move(key), static_cast<std::uint64_t>(token.value_or(-1)));  // the older one counts
      }
      s.reply = "+OK\r\n";
      return;
    }
    case kind::exec: {
      const bool ran = neutral.starts_with('*') && neutral != "*-1\r\n";
      if (!ran || s.extra->locals.empty()) return render(neutral, s.protocol, s.reply);
      return render(joined_replies(*s.extra, neutral), s.protocol, s.reply);
    }
  }
}

std::string connection::joined_replies(const plan& p, std::string_view reply) {
  auto rest = reply.substr(reply.find("\r\n") + 2);
  std::string joined;
  reply_writer out(joined);
  out.array(p.count);
  auto local = p.locals.begin();
  for (std::size_t i = 0; i < p.count; ++i) {
    const bool is_local = local != p.locals.end() && local->place == i;
    const auto size = !is_local || local->info ? element_size(rest) : 0;
    const auto element = rest.substr(0, size);
    rest.remove_prefix(size);
    if (!is_local) {
      out.raw(element);
    } else if (local->info) {
      out.verbatim(owner_.info(std::span(local->argv).subspan(1), element));
    } else {
      const std::vector<std::string_view> argv(local->argv.begin(), local->argv.end());
      if (find_command(argv[0])->name == "unwatch") out.ok();
      else run_session_command(who_, owner_, argv, out);
    }
    if (is_local) ++local;
  }
  return joined;
}

}  // namespace kv
