#include "actors/cold_file.hpp"

#include "transport/checksum.hpp"

#include <array>
#include <cstring>
#include <optional>
#include <stdexcept>

namespace cohort::detail {
namespace {

constexpr std::size_t piece_bytes = 1u << 20;

[[noreturn]] void fail(const std::filesystem::path& file, const char* what) {
  throw std::runtime_error(file.string() + " " + what + "; a cold backup needs it. Restarted, this member gets its state from journal and group");
}

void put(std::ofstream& out, std::span<const std::byte> bytes, const std::filesystem::path& file) {
  const std::array<std::uint64_t, 2> head{bytes.size(), transport::checksum(bytes)};
  out.write(reinterpret_cast<const char*>(head.data()), sizeof head);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!out) fail(file, "cannot be written (is the disk full?)");
}

/// The next record; none at the end of the file.
std::optional<std::span<const std::byte>> next(std::ifstream& in, std::vector<std::byte>& buffer, std::uint64_t& left,
                                               const std::filesystem::path& file) {
  std::array<std::uint64_t, 2> head{};
  if (left == 0) return {};
  if (left < sizeof head || !in.read(reinterpret_cast<char*>(head.data()), sizeof head)) fail(file, "ends within a record");
  left -= sizeof head;
  if (head[0] > left) fail(file, "holds an impossible length");
  buffer.resize(head[0]);
  if (!in.read(reinterpret_cast<char*>(buffer.data()), static_cast<std::streamsize>(buffer.size()))) fail(file, "cannot be read");
  left -= head[0];
  if (transport::checksum(buffer) != head[1]) fail(file, "has a record with a wrong checksum");
  return std::span<const std::byte>(buffer);
}

class piece_sink final : public sink {
public:
  piece_sink(std::ofstream& out, const std::filesystem::path& file) : out_(out), file_(file) {}
  void write(std::span<const std::byte> bytes) override {
    piece_.insert(piece_.end(), bytes.begin(), bytes.end());
    if (piece_.size() >= piece_bytes) flush();
  }
  void flush() {
    if (!piece_.empty()) put(out_, piece_, file_);
    piece_.clear();
  }

private:
  std::ofstream& out_;
  const std::filesystem::path& file_;
  std::vector<std::byte> piece_;
};

/// `left` counts what is behind the current piece with the heads of records: enough to bound a length that is read.
class piece_source final : public source {
public:
  explicit piece_source(const std::filesystem::path& file)
      : file_(file), in_(file, std::ios::binary), behind_(std::filesystem::file_size(file)) {}

  void read(std::span<std::byte> out) override {
    while (!out.empty()) {
      if (piece_.empty()) {
        const auto more = next(in_, buffer_, behind_, file_);
        if (!more) throw truncated_checkpoint(file_.string() + " ends before what the service wants");
        piece_ = *more;
      }
      const auto part = std::min(out.size(), piece_.size());
      std::memcpy(out.data(), piece_.data(), part);
      out = out.subspan(part);
      piece_ = piece_.subspan(part);
    }
  }
  std::uint64_t left() const override { return piece_.size() + behind_; }

private:
  const std::filesystem::path& file_;
  std::ifstream in_;
  std::uint64_t behind_;
  std::vector<std::byte> buffer_;
  std::span<const std::byte> piece_;
};

}  // namespace

cold_file::cold_file(const std::filesystem::path& base) : image_(base), changes_(base) {
  image_ += ".image";
  changes_ += ".changes";
  std::filesystem::create_directories(base.parent_path());
}

void cold_file::keep_image(const std::function<void(sink&)>& write) {
  std::ofstream out(image_, std::ios::binary | std::ios::trunc);
  piece_sink pieces(out, image_);
  write(pieces);
  pieces.flush();
  if (!out.flush()) fail(image_, "cannot be written (is the disk full?)");
  has_image_ = true;
  out_ = std::ofstream(changes_, std::ios::binary | std::ios::trunc);
  if (!out_) fail(changes_, "cannot be opened for writing");
}

void cold_file::append(std::span<const std::byte> change) { put(out_, change, changes_); }

void cold_file::read(const std::function<void(source&)>& image, const std::function<void(std::span<const std::byte>)>& change) {
  if (!has_image_) return;
  if (!out_.flush()) fail(changes_, "cannot be written (is the disk full?)");
  piece_source from(image_);
  image(from);
  std::ifstream in(changes_, std::ios::binary);
  auto left = std::filesystem::file_size(changes_);
  std::vector<std::byte> buffer;
  while (const auto one = next(in, buffer, left, changes_)) change(*one);
}

}  // namespace cohort::detail
