#include "transport/name_service.hpp"

#include <ares.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <tuple>
#include <utility>

namespace cohort::transport {

namespace {

constexpr int first_timeout_ms = 1000;  // doubled by c-ares for the second try
constexpr int tries = 2;
constexpr std::size_t targets_max = 16;    // of one name's SRV records
constexpr std::size_t addresses_max = 16;  // of one host
constexpr int class_internet = 1, type_srv = 33;

bool same_letters(std::string_view a, std::string_view b) {
  const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return low(x) == low(y); });
}

struct target {
  unsigned priority = 0, weight = 0;
  address where;
};

}  // namespace

// One callback of c-ares; deletes itself once it has been called, which c-ares does exactly once.
struct name_service::question {
  name_service& owner;
  place what;
  resolver::answer done;
};

class name_service::socket_watch final : public fd_handler {
public:
  socket_watch(name_service& owner, int fd) : owner_(owner), fd_(fd) {}
  void on_ready(std::uint32_t events) override { owner_.socket_ready(fd_, events); }
  std::uint32_t wanted = 0;

private:
  name_service& owner_;
  int fd_;
};

name_service::name_service(loop& where, std::vector<address> servers)
    : loop_(where), servers_(std::move(servers)), timer_(where, [this] { socket_ready(ARES_SOCKET_BAD, 0); }) {}

name_service::~name_service() { close(); }

void name_service::close() {
  closing_ = true;
  if (channel_) ares_destroy(channel_);  // answers every question with ARES_EDESTRUCTION
  channel_ = nullptr;
  closing_ = false;
}

bool name_service::ready(std::string& why) {
  if (stale_ && open_ == 0) close();
  if (channel_) return true;
  stale_ = false;
  ares_options options{};
  options.timeout = first_timeout_ms;
  options.tries = tries;
  options.sock_state_cb_data = this;
  options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<name_service*>(self)->watch(fd, readable != 0, writable != 0);
  };
  auto status = ares_init_options(&channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (status == ARES_SUCCESS && !servers_.empty()) {
    std::string list;
    for (const auto& s : servers_) list += (list.empty() ? "" : ",") + to_string(s);
    status = ares_set_servers_ports_csv(channel_, list.c_str());
  }
  if (status == ARES_SUCCESS) return true;
  if (channel_) ares_destroy(channel_);
  channel_ = nullptr;
  why = std::string("the resolver cannot start: ") + ares_strerror(status);
  return false;
}

void name_service::look_up(const place& what, resolver::answer done) {
  std::string why;
  if (!ready(why)) {
    done({{}, to_string(what) + ": " + why, true});
    return;
  }
  if (what.service.empty())
    hosts(what.where, std::move(done));
  else
    services(what, std::move(done));
  plan();
}

void name_service::hosts(const address& what, resolver::answer done) {
  ares_addrinfo_hints hints{};
  hints.ai_flags = ARES_AI_NUMERICSERV;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  auto* q = new question{*this, what, std::move(done)};
  ++open_;
  ares_getaddrinfo(
    channel_, what.host.c_str(), std::to_string(what.port).c_str(), &hints,
    [](void* argument, int status, int, ares_addrinfo* list) {
      std::unique_ptr<question> asked(static_cast<question*>(argument));
      std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> answer(list, &ares_freeaddrinfo);
      auto& self = asked->owner;
      self.ended(status);
      if (self.closing_) return;
      resolved out;
      out.last = true;
      for (auto* node = answer ? answer->nodes : nullptr; node && out.found.size() < addresses_max; node = node->ai_next) {
        endpoint_address one;
        if (node->ai_addrlen > sizeof one.storage) continue;
        one.length = static_cast<socklen_t>(node->ai_addrlen);
        std::memcpy(&one.storage, node->ai_addr, node->ai_addrlen);
        out.found.push_back(one);
      }
      if (out.found.empty()) out.why = to_string(asked->what.where) + ": " + ares_strerror(status);
      asked->done(std::move(out));
    },
    q);
}

void name_service::services(const place& what, resolver::answer done) {
  auto* q = new question{*this, what, std::move(done)};
  ++open_;
  ares_query(
    channel_, what.service.c_str(), class_internet, type_srv,
    [](void* argument, int status, int, unsigned char* bytes, int length) {
      std::unique_ptr<question> asked(static_cast<question*>(argument));
      auto& self = asked->owner;
      self.ended(status);
      if (self.closing_) return;
      ares_srv_reply* records = nullptr;
      if (status == ARES_SUCCESS) status = ares_parse_srv_reply(bytes, length, &records);
      std::unique_ptr<ares_srv_reply, decltype(&ares_free_data)> owned(records, &ares_free_data);
      if (status != ARES_SUCCESS) {
        asked->done({{}, to_string(asked->what) + ": " + ares_strerror(status), true});
        return;
      }
      std::vector<target> targets;
      const auto& label = asked->what.label;
      for (const auto* r = records; r; r = r->next) {
        const std::string_view host(r->host);
        if (host.empty() || host == "." || r->port == 0) continue;  // "no such service", RFC 2782
        if (!label.empty() && !same_letters(host.substr(0, host.find('.')), label)) continue;
        targets.push_back({r->priority, r->weight, {std::string(host), r->port}});
      }
      // One node is looked for, not one of many alike: weights need no dice, the heavier goes first.
      std::ranges::sort(targets, {}, [](const target& t) { return std::tuple(t.priority, ~t.weight); });
      if (targets.size() > targets_max) targets.resize(targets_max);
      if (targets.empty()) {
        asked->done({{}, to_string(asked->what) + ": no SRV record names a host" +
                             (label.empty() ? std::string() : " " + label + ".*"), true});
        return;
      }
      auto left = std::make_shared<std::size_t>(targets.size());
      auto each = std::make_shared<resolver::answer>(std::move(asked->done));
      for (auto& t : targets)
        self.hosts(t.where, [left, each](resolved&& part) {
          part.last = --*left == 0;
          (*each)(std::move(part));
        });
    },
    q);
}

void name_service::ended(int status) {
  --open_;
  if (servers_.empty() && (status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED)) stale_ = true;
}

void name_service::watch(int fd, bool readable, bool writable) {
  const auto wanted = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
  const auto known = watches_.find(fd);
  if (wanted == 0) {
    if (known == watches_.end()) return;
    loop_.remove(fd);
    retired_.push_back(std::move(known->second));
    if (retired_.size() == 1) loop_.post([this] { retired_.clear(); });
    watches_.erase(known);
  } else if (known == watches_.end()) {
    auto& fresh = watches_[fd] = std::make_unique<socket_watch>(*this, fd);
    loop_.add(fd, wanted, *fresh);
    fresh->wanted = wanted;
  } else if (std::exchange(known->second->wanted, wanted) != wanted) {
    loop_.modify(fd, wanted);
  }
}

void name_service::socket_ready(int fd, std::uint32_t events) {
  if (!channel_) return;
  const bool writes = events & EPOLLOUT, reads = events & ~static_cast<std::uint32_t>(EPOLLOUT);
  ares_process_fd(channel_, reads ? fd : ARES_SOCKET_BAD, writes ? fd : ARES_SOCKET_BAD);
  plan();
}

void name_service::plan() {
  timeval room{};
  const auto* next = channel_ ? ares_timeout(channel_, nullptr, &room) : nullptr;
  if (next)
    timer_.set_after(std::chrono::seconds(next->tv_sec) + std::chrono::microseconds(next->tv_usec));
  else
    timer_.cancel();
}

}  // namespace cohort::transport
