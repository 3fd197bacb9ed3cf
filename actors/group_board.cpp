#include "actors/group_board.hpp"

#include "framework/memory_stream.hpp"

#include <utility>

namespace cohort::detail {
namespace {

constexpr std::uint64_t file_version = 1;

}  // namespace

catalogue::group_table group_board::now() const {
  std::lock_guard guard(mutex_);
  return table_;
}

void group_board::update(const catalogue::group_table& newer) {
  {
    std::lock_guard guard(mutex_);
    if (newer.version <= table_.version) return;
    table_ = newer;
  }
  std::lock_guard guard(telling_);
  if (tell_) tell_();
}

void group_board::on_change(std::function<void()> tell) {
  std::lock_guard guard(telling_);
  tell_ = std::move(tell);
}

std::string group_board::keep_in(const std::filesystem::path& file) {
  std::string trouble;
  if (const auto kept = kept_file::read(file, trouble)) try {
      memory_source in(*kept);
      if (in.read_u64() != file_version) throw truncated_checkpoint("it is of another version of Cohort");
      update(catalogue::read_group_table(in));
    } catch (const truncated_checkpoint& e) {
      trouble = file.string() + ": " + e.what();
    }
  std::lock_guard guard(writing_);
  file_ = std::make_unique<kept_file>(file);
  written_ = 0;
  return trouble;
}

std::string group_board::write_down() {
  std::lock_guard guard(writing_);
  if (!file_) return {};
  const auto table = now();
  if (table.version == written_) return {};
  memory_sink out;
  out.write_u64(file_version);
  catalogue::write(out, table);
  file_->keep(out.bytes());
  written_ = table.version;
  return file_->trouble();
}

}  // namespace cohort::detail
