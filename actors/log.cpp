#include "actors/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace cohort::detail {
namespace {

spdlog::level::level_enum to_spdlog(log_level level) {
  switch (level) {
    case log_level::trace: return spdlog::level::trace;
    case log_level::debug: return spdlog::level::debug;
    case log_level::info: return spdlog::level::info;
    case log_level::warn: return spdlog::level::warn;
    case log_level::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

struct logger::impl {
  std::shared_ptr<spdlog::logger> to;
};

logger::logger(const std::string& node, const std::string& level, const std::string& file)
    : impl_(std::make_unique<impl>()) {
  try {
    // Unregistered: several nodes in one process have a logger each.
    if (file.empty())
      impl_->to = std::make_shared<spdlog::logger>(node, std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    else
      impl_->to = std::make_shared<spdlog::logger>(node, std::make_shared<spdlog::sinks::basic_file_sink_mt>(file));
  } catch (const spdlog::spdlog_ex& e) {
    throw std::runtime_error("cannot write the log file " + file + ": " + e.what() + "; name another one");
  }
  impl_->to->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%-5l%$ node=%n %v");
  impl_->to->set_level(level == "warn" ? spdlog::level::warn : spdlog::level::from_str(level));
  impl_->to->flush_on(spdlog::level::info);
}

logger::~logger() { impl_->to->flush(); }

bool logger::wants(log_level level) const { return impl_->to->should_log(to_spdlog(level)); }

void logger::write(log_level level, std::string_view line) { impl_->to->log(to_spdlog(level), line); }

bool is_log_level(std::string_view text) {
  for (auto known : {"trace", "debug", "info", "warn", "error", "off"})
    if (text == known) return true;
  return false;
}

}  // namespace cohort::detail
