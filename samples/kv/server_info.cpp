#include "samples/kv/numbers.hpp"
#include "samples/kv/resp_render.hpp"
#include "samples/kv/server.hpp"

#include <algorithm>
#include <sys/resource.h>
#include <unistd.h>

namespace kv {

namespace {

/// The strings and numbers of the replica's answer: digest, keys, keys that expire.
std::vector<std::string> summary_parts(std::string_view summary) {
  std::vector<std::string> parts(3);
  if (summary.empty() || summary[0] != '*') return parts;
  auto rest = summary.substr(summary.find("\r\n") + 2);
  for (auto& part : parts) {
    const auto size = element_size(rest);
    if (size < 3) return parts;
    const auto element = rest.substr(0, size - 2);
    part = element[0] == '$' ? element.substr(element.find("\r\n") + 2) : element.substr(1);
    rest.remove_prefix(size);
  }
  return parts;
}

std::string resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long total = 0, resident = 0;
  const bool known = file != nullptr && std::fscanf(file, "%ld %ld", &total, &resident) == 2;
  if (file != nullptr) std::fclose(file);
  return std::to_string(known ? resident * sysconf(_SC_PAGESIZE) : 0);
}

}  // namespace

std::string server::info(std::span<const std::string> sections, std::string_view summary) const {
  const auto wanted = [&](std::string_view name) {
    return sections.empty() || std::any_of(sections.begin(), sections.end(), [&](const std::string& s) {
             return same_word(s, name) || same_word(s, "all") || same_word(s, "default") || same_word(s, "everything");
           });
  };
  const auto parts = summary_parts(summary);
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_).count();
  std::string text;
  const auto section = [&](std::string_view name, std::string_view title,
                           std::initializer_list<std::pair<std::string_view, std::string>> lines) {
    if (!wanted(name)) return;
    if (!text.empty()) text += "\r\n";
    text += "# " + std::string(title) + "\r\n";
    for (const auto& [key, value] : lines) text += std::string(key) + ":" + value + "\r\n";
  };
  section("server", "Server",
          {{"redis_version", "7.0.15"},
           {"redis_mode", "standalone"},
           {"server_name", "cohort-kv"},
           {"process_id", std::to_string(getpid())},
           {"tcp_port", std::to_string(port_)},
           {"uptime_in_seconds", std::to_string(seconds)}});
  section("clients", "Clients",
          {{"connected_clients", std::to_string(connections_.size())},
           {"maxclients", std::to_string(options_.clients_max)}});
  section("memory", "Memory", {{"used_memory_rss", resident_bytes()}, {"maxmemory", "0"}});
  section("stats", "Stats",
          {{"total_connections_received", std::to_string(accepted_)},
           {"total_commands_processed", std::to_string(commands_)},
           {"rejected_connections", std::to_string(rejected_)}});
  section("replication", "Replication", {{"role", "master"}, {"connected_slaves", "0"}});
  if (wanted("cohort")) text += (text.empty() ? "" : "\r\n") + cohort_section(backend_->status(), parts[0]);
  if (wanted("keyspace")) {
    text += std::string(text.empty() ? "" : "\r\n") + "# Keyspace\r\n";
    if (!parts[1].empty() && parts[1] != "0")
      text += "db0:keys=" + parts[1] + ",expires=" + parts[2] + ",avg_ttl=0\r\n";
  }
  return text;
}

}  // namespace kv
