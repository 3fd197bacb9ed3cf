#include "samples/kv/command_line.hpp"
#include "samples/kv/server.hpp"
#include "samples/kv/settings.hpp"
#include "samples/kv/store.hpp"

#include <cohort/node.hpp>

#include <iostream>
#include <sys/resource.h>
#include <thread>

namespace {

constexpr int wrong_configuration = 2, failed = 1;

/// Thousands of clients need as many descriptors.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int run(kv::settings chosen) {
  const auto expiry = std::make_shared<kv::expiry_signal>();
  cohort::node node(chosen.node);
  node.replicate("kv", [expiry] { return std::make_unique<kv::store>([expiry](std::int64_t ms) { expiry->set(ms); }); },
                 chosen.contract);

  // The port for clients is taken first: a node that cannot serve them must not join and then leave the group.
  cohort::transport::loop events;
  kv::server server(events, chosen.server,
                    kv::group_backend([&](cohort::port_wake wake) { return node.port("kv", std::move(wake)); }),
                    expiry);
  node.start();
  std::thread clients([&] { events.run(); });
  const int code = node.run();
  events.post([&] {
    server.stop();
    events.stop();
  });
  clients.join();
  if (code != 0) std::cerr << "cohort-kv: " << node.failure() << '\n';
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  int code = 0;
  const auto line = kv::parse_command_line(argc, argv, code);
  if (!line) return code;
  try {
    auto chosen = kv::read_settings(line->config);
    chosen.node.epoch = line->new_epoch.value_or(0);
    chosen.node.log_level = line->log_level;
    if (line->check) {
      std::cout << line->config << ": usable\n";
      return 0;
    }
    raise_descriptor_limit();
    return run(std::move(chosen));
  } catch (const kv::settings_error& e) {
    std::cerr << "cohort-kv: " << e.what() << '\n';
    return wrong_configuration;
  } catch (const std::exception& e) {
    std::cerr << "cohort-kv: " << e.what() << '\n';
    return failed;
  }
}
