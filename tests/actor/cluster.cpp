#include "cluster.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>

namespace cohort::test {
namespace {

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

completion_batch one(node& n, const std::function<void(group_port&)>& ask, const std::string& group = "room") {
  auto port = n.port(group);
  ask(port);
  port.flush();
  completion_batch done;
  if (!eventually([&] { return port.take(done); })) throw std::runtime_error("no completion came");
  return done;
}

}  // namespace

/// All are held open together, so that no number comes twice.
/// Below those which the kernel gives to outgoing connections: a node that starts again finds its own free.
std::vector<int> free_ports(int count) {
  static std::set<int> given;
  static std::mt19937 random{std::random_device{}()};
  std::vector<int> ports;
  for (int tries = 0; static_cast<int>(ports.size()) < count; ++tries) {
    if (tries > 1000) throw std::runtime_error("no free port");
    const int port = std::uniform_int_distribution<int>(15'000, 31'999)(random);
    const int s = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool is_free = ::bind(s, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0;
    ::close(s);
    if (is_free && given.insert(port).second) ports.push_back(port);
  }
  return ports;
}

void recorder::apply(const delivery& d, reply& answer) {
  std::lock_guard guard(out_->mutex);
  auto text = text_of(d.payload);
  out_->threads.push_back(std::this_thread::get_id());
  if (text == "boom" && out_->explosions > 0) {
    --out_->explosions;
    throw std::runtime_error("boom was applied");
  }
  out_->messages.push_back(text);
  answer.write(text + " is number " + std::to_string(out_->messages.size()));
}

void recorder::query(std::span<const std::byte>, reply& answer) const {
  std::lock_guard guard(out_->mutex);
  out_->threads.push_back(std::this_thread::get_id());
  answer.write(std::to_string(out_->messages.size()));
}

void recorder::checkpoint(sink& out) const {
  std::lock_guard guard(out_->mutex);
  out_->threads.push_back(std::this_thread::get_id());
  out.write_u64(out_->messages.size());
  for (auto& m : out_->messages) out.write_bytes(m);
}

void recorder::restore(source& in) {
  std::lock_guard guard(out_->mutex);
  out_->threads.push_back(std::this_thread::get_id());
  out_->messages.clear();
  if (in.left() == 0) return;
  ++out_->restores;
  for (auto count = in.read_u64(); count > 0; --count) out_->messages.push_back(in.read_bytes());
  if (out_->explosions > 0 && std::ranges::count(out_->messages, "boom") > 0) {
    --out_->explosions;
    throw std::runtime_error("boom was restored");
  }
}

cluster::cluster(int size, contract how, hosting host)
    : size_(size), how_(how.with(&contract::single, size < 3)), host_(std::move(host)) {
  char name[] = "/tmp/cohort-actor-XXXXXX";
  if (!::mkdtemp(name)) throw std::runtime_error("no temporary directory");
  folder_ = name;
  auto ports = free_ports(size);
  for (int i = 0; i < size; ++i) {
    members_.push_back({"n" + std::to_string(i + 1), "127.0.0.1:" + std::to_string(ports[i])});
    seen_.push_back(std::make_shared<journal_of_messages>());
  }
  nodes_.resize(size);
}

cluster::~cluster() {
  for (int i = 0; i < size_; ++i) kill(i);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void cluster::start(int i, std::uint64_t epoch, restart_limits limits) {
  node_config c;
  c.name = members_[i].name;
  c.data = folder_ / c.name;
  c.members = members_;
  c.epoch = epoch;
  c.workers = 2;
  c.witnesses = witnesses;
  c.stop_limit = stop_limit;
  c.gateways = gateways_;
  c.log_level = ::getenv("COHORT_TEST_LOG") ? ::getenv("COHORT_TEST_LOG") : "off";
  auto made = std::make_unique<node>(c);
  made->internals().limits = limits;
  if (host_) host_(*made, i);
  else made->replicate("room", [out = seen_[i]] { return std::make_unique<recorder>(out); }, how_);
  for (int g = 1; g < groups; ++g)
    made->replicate(group(g), [] { return std::make_unique<recorder>(std::make_shared<journal_of_messages>()); }, how_);
  made->start();
  nodes_[i] = std::move(made);
}

std::vector<std::string> cluster::serve_clients(int only) {
  std::vector<std::string> places;
  const auto ports = free_ports(size_);
  for (int i = 0; i < size_; ++i) {
    if (only >= 0 && i != only) continue;
    places.push_back("127.0.0.1:" + std::to_string(ports[i]));
    gateways_.push_back({members_[i].name, places.back()});
  }
  return places;
}

void cluster::kill(int i) {
  if (nodes_[i]) nodes_[i]->internals().stop(false);
  nodes_[i].reset();
}

void cluster::stop(int i) {
  nodes_[i]->stop();
  nodes_[i].reset();
}

void cluster::wipe(int i) { std::filesystem::remove_all(folder_ / members_[i].name); }

outcome cluster::submit(int i, const std::string& text, std::string* reply) {
  auto done = one(at(i), [&](group_port& p) { p.submit(std::as_bytes(std::span(text)), 1); });
  if (reply) *reply = text_of(done[0].reply);
  return done[0].outcome;
}

outcome cluster::submit_to(int i, int g, const std::string& text) {
  return one(at(i), [&](group_port& p) { p.submit(std::as_bytes(std::span(text)), 1); }, group(g))[0].outcome;
}

bool cluster::all_groups_serve() {
  for (int i = 0; i < size_; ++i)
    for (int g = 0; g < groups; ++g)
      if (const auto s = nodes_[i]->status(group(g)); !s.primary || !s.active) return false;
  return true;
}

outcome cluster::insist(int i, const std::string& text) {
  outcome o{};
  eventually([&] { return o = submit(i, text), !refused(o); });
  return o;
}

outcome cluster::ask(int i, const std::string& question, reads how, std::string& answer) {
  auto done = one(at(i), [&](group_port& p) { p.query(std::as_bytes(std::span(question)), how, 1); });
  answer = text_of(done[0].reply);
  return done[0].outcome;
}

}  // namespace cohort::test
