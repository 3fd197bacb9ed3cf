#include "persistence/last_words.hpp"

#include "persistence/fatal_signals.hpp"
#include "persistence/journal.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

namespace cohort::persistence {
namespace {

// Head: magic, format, slots, nonce, checksum of these. In the machine's byte order, as other files of a node.
constexpr std::uint64_t magic = 0x5344524f574c4f43;  // "COLWORDS"
constexpr std::uint64_t format = 1;
struct file_head {
  std::uint64_t magic = 0, format = 0, slots = 0, nonce = 0, sum = 0;
  std::uint32_t signal = 0, unused = 0;  // not covered by the checksum
};

// Slot: {serial, checksum, `at`, signal} of which the last two change while it is set; then what the checksum covers.
struct slot_head {
  std::uint64_t serial, sum, at;
  std::uint32_t signal, unused;
};
struct slot_text {
  std::uint64_t number, position, count, activation, identity, body_bytes;
  std::uint8_t kind, process_bytes, from_bytes;
  std::uint8_t unused;
  std::uint32_t excerpt_bytes;
  char process[last_words::name_bytes], from[last_words::name_bytes];
  char excerpt[last_words::excerpt_bytes];
};
static_assert(sizeof(slot_head) + sizeof(slot_text) <= last_words::slot_bytes);
constexpr std::size_t fixed_bytes = sizeof(slot_text) - last_words::excerpt_bytes;

std::uint64_t sum_of(const file_head& h) {
  return checksum(std::as_bytes(std::span(&h, 1)).first(offsetof(file_head, sum)), magic);
}

std::uint64_t sum_of(const std::byte* text, std::uint32_t excerpt_bytes, std::uint64_t serial) {
  return checksum({text, fixed_bytes + excerpt_bytes}, serial);
}

slot_head* head_of(std::byte* slot) { return reinterpret_cast<slot_head*>(slot); }
slot_text* text_of(std::byte* slot) { return reinterpret_cast<slot_text*>(slot + sizeof(slot_head)); }

/// A store that whoever reads the file sees in its place: neither what comes before nor what follows is moved across
/// it.
void store(std::uint64_t& where, std::uint64_t value) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::atomic_ref(where).store(value, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

/// Where this thread begins to look for a slot, so that threads which run at the same time rarely meet.
std::atomic<std::size_t> threads_seen{0};
thread_local const std::size_t first_slot = threads_seen.fetch_add(1, std::memory_order_relaxed) % last_words::slots;

std::uint8_t put(char* to, std::string_view text) {
  const auto length = std::min(text.size(), last_words::name_bytes);
  if (length > 0) std::memcpy(to, text.data(), length);
  return static_cast<std::uint8_t>(length);
}

std::optional<last_word> read_slot(std::span<const std::byte> slot, std::uint64_t nonce, std::uint64_t index) {
  slot_head head;
  slot_text text;
  std::memcpy(&head, slot.data(), sizeof head);
  const auto* const bytes = slot.data() + sizeof head;
  std::memcpy(&text, bytes, sizeof text);
  if (text.excerpt_bytes > last_words::excerpt_bytes || text.process_bytes > last_words::name_bytes ||
      text.from_bytes > last_words::name_bytes || sum_of(bytes, text.excerpt_bytes, head.serial) != head.sum)
    return std::nullopt;
  if (text.kind < static_cast<std::uint8_t>(word_kind::input) ||
      text.kind > static_cast<std::uint8_t>(word_kind::checkpoint))
    return std::nullopt;
  last_word w;
  w.id = {nonce, index, head.serial};
  w.kind = static_cast<word_kind>(text.kind);
  w.process.assign(text.process, text.process_bytes);
  w.from.assign(text.from, text.from_bytes);
  w.number = text.number;
  w.count = text.count;
  // Of several, the one that was executed; unless a torn page tells of one that is not among them.
  w.position = head.at >= text.position && head.at - text.position < std::max<std::uint64_t>(text.count, 1)
                   ? head.at
                   : text.position;
  w.first = text.position;
  w.activation = text.activation;
  w.identity = text.identity;
  w.body_bytes = text.body_bytes;
  w.excerpt.assign(text.excerpt, text.excerpt_bytes);
  w.signal = head.signal;
  return w;
}

}  // namespace

last_words_found read_last_words(std::span<const std::byte> file) {
  last_words_found found;
  file_head h;
  // Nothing but zeros: the process before ended before it had begun the file.
  if (std::ranges::all_of(file, [](std::byte b) { return b == std::byte{0}; })) return found;
  found.foreign = file.size() != last_words::file_bytes;
  if (found.foreign) return found;
  std::memcpy(&h, file.data(), sizeof h);
  found.foreign = h.magic != magic || h.format != format || h.slots != last_words::slots || h.sum != sum_of(h);
  if (found.foreign) return found;
  found.signal = h.signal;
  for (std::size_t i = 0; i < last_words::slots; ++i) {
    const auto slot = file.subspan(last_words::slot_bytes * (i + 1), last_words::slot_bytes);
    std::uint64_t serial = 0;
    std::memcpy(&serial, slot.data(), sizeof serial);
    if (serial == 0) continue;
    if (auto w = read_slot(slot, h.nonce, i))
      found.words.push_back(std::move(*w));
    else
      ++found.torn;
  }
  return found;
}

bool is_suspect(const last_word& one, const last_words_found& of) {
  if (one.signal != 0) return true;
  return of.signal == 0 && std::ranges::all_of(of.words, [](const auto& w) { return w.signal == 0; });
}

last_words::last_words(const std::filesystem::path& file) { open(file); }

last_words::~last_words() {
  if (memory_) forget_place(&reinterpret_cast<file_head*>(memory_)->signal);
  if (memory_) ::munmap(memory_, file_bytes);
  if (fd_ >= 0) ::close(fd_);
}

void last_words::fail(const std::filesystem::path& file, const std::string& what) {
  trouble_ = file.string() + " " + what + ": " + std::strerror(errno) +
             "; should this process be brought down by what it executes, the next one will not know by what. Free or "
             "repair the "
             "disk, then restart the node";
}

void last_words::open(const std::filesystem::path& file) {
  fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd_ < 0) return fail(file, "cannot be opened");
  // Another process has the data directory, then: nothing of its file is touched.
  in_use_ = ::flock(fd_, LOCK_EX | LOCK_NB) != 0;
  if (in_use_) return fail(file, "is in use");
  std::vector<std::byte> before(file_bytes + 1);
  std::size_t length = 0;
  while (length < before.size()) {
    const auto n = ::pread(fd_, before.data() + length, before.size() - length, static_cast<off_t>(length));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(file, "cannot be read");
    if (n == 0) break;
    length += static_cast<std::size_t>(n);
  }
  found_ = read_last_words(std::span(before).first(length));
  // A page without a block of the disk behind it would end the process when that is full.
  if (::ftruncate(fd_, static_cast<off_t>(file_bytes)) != 0) return fail(file, "cannot be cut to its length");
  if (const int why = ::posix_fallocate(fd_, 0, static_cast<off_t>(file_bytes)); why != 0) {
    errno = why;
    return fail(file, "cannot be given its blocks");
  }
  void* const at = ::mmap(nullptr, file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (at == MAP_FAILED) return fail(file, "cannot be mapped");
  memory_ = static_cast<std::byte*>(at);
  holders_ = std::make_unique<std::array<holder, slots>>();
  if (found_.words.empty() && found_.torn == 0) begin_file();
  note_other_signals_at(&reinterpret_cast<file_head*>(memory_)->signal);
}

void last_words::begin_file() {
  std::memset(memory_, 0, file_bytes);
  std::random_device chance;
  file_head h{magic, format, slots, std::uint64_t{chance()} << 32 | chance()};
  h.sum = sum_of(h);
  std::memcpy(memory_, &h, sizeof h);
}

void last_words::noted() {
  if (memory_) begin_file();  // with a new nonce (LW3)
}

// ---- speaking -------------------------------------------------------------------------------------------------------

last_words::speaker::speaker(last_words* in) noexcept : in_(in) {
  if (!in || !in->memory_) return;
  for (std::size_t i = 0; i < slots; ++i) {
    index_ = (first_slot + i) % slots;
    auto& holder = (*in->holders_)[index_];
    if (holder.taken.load(std::memory_order_relaxed) || holder.taken.exchange(true, std::memory_order_acquire))
      continue;
    slot_ = in->slot(index_);
    outer_ = note_own_signal_at(&head_of(slot_)->signal);
    return;
  }
}

last_words::speaker::~speaker() {
  if (!slot_) return;
  ends();
  note_own_signal_at(outer_);
  (*in_->holders_)[index_].taken.store(false, std::memory_order_release);
}

void last_words::speaker::begins(const spoken_word& what) noexcept {
  if (!slot_) return;
  auto& head = *head_of(slot_);
  auto& text = *text_of(slot_);
  store(head.serial, 0);
  text.number = what.number;
  text.position = what.position;
  text.count = what.count;
  text.activation = what.activation;
  text.identity = what.identity;
  text.body_bytes = what.body.size();
  text.kind = static_cast<std::uint8_t>(what.kind);
  text.process_bytes = put(text.process, what.process);
  text.from_bytes = put(text.from, what.from);
  text.excerpt_bytes = static_cast<std::uint32_t>(std::min(what.body.size(), excerpt_bytes));
  if (text.excerpt_bytes > 0) std::memcpy(text.excerpt, what.body.data(), text.excerpt_bytes);
  head.at = what.position;
  head.signal = 0;
  const auto serial = ++(*in_->holders_)[index_].serial;
  head.sum = sum_of(slot_ + sizeof(slot_head), text.excerpt_bytes, serial);
  store(head.serial, serial);  // LW1
}

void last_words::speaker::at(std::uint64_t position) noexcept {
  if (slot_) store(head_of(slot_)->at, position);
}

void last_words::speaker::ends() noexcept {
  if (slot_) store(head_of(slot_)->serial, 0);
}

}  // namespace cohort::persistence
