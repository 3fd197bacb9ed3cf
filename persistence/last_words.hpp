#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What a node's process is executing at the moment, where it outlives the process: a small file of slots that is mapped into
/// memory. Whoever executes something that may bring the process down writes down before what it is, and strikes it out
/// afterwards: plain stores into the page cache, which keeps them however the process ends. The next start reads what was not
/// struck out.
///
/// LW1  A slot is set by the store of its serial, behind all else that it says, and cleared by storing 0 there.
/// LW2  Nothing is believed but what its checksum bears out: a power failure may leave half of it.
/// LW3  A word has an identity (file's nonce, slot, serial) that no other one has, so that it is not counted twice.
/// LW6  Where the thread is known in which the process ended, what other threads executed is no culprit.
namespace cohort::persistence {

enum class word_kind : std::uint8_t {
  input = 1,       ///< of a resilient process on this node's storage
  request = 2,     ///< of a primary/backup group, executed by its primary
  delivery = 3,    ///< messages of a group, applied by all its members
  redo = 4,        ///< an event of a resilient process's journal, once more
  checkpoint = 5,  ///< a checkpoint of a resilient process, read; `position` is the state's
};

/// What is about to be executed. Longer texts are cut off.
struct spoken_word {
  word_kind kind{};
  std::string_view process;      ///< or group; up to 64 bytes
  std::string_view from;         ///< name of the sender; up to 64 bytes
  std::uint64_t number = 0;      ///< the sender's, 0: it has none
  std::uint64_t position = 0;    ///< in the order of a group, 0: none; of several, the first one's
  std::uint64_t count = 1;       ///< so many are executed in one go
  std::uint64_t activation = 0;  ///< life of the process, or the office of the primary
  std::uint64_t identity = 0;    ///< digest by which the input is known again
  std::span<const std::byte> body;
};

/// What was read from a slot of which the process ended.
struct last_word {
  std::array<std::uint64_t, 3> id{};  ///< nonce, slot, serial (LW3)
  word_kind kind{};
  std::string process, from;
  std::uint64_t number = 0, position = 0, count = 1, activation = 0, identity = 0;
  std::uint64_t first = 0;  ///< position of the first one of several
  std::uint64_t body_bytes = 0;
  std::string excerpt;     ///< of the body, its beginning
  std::uint32_t signal = 0;  ///< that ended the process in the very thread that executed it; 0: not known of it
};

struct last_words_found {
  std::vector<last_word> words;
  std::size_t torn = 0;      ///< slots that are set and say nothing sound
  std::uint32_t signal = 0;  ///< that ended the process in a thread which executed nothing; 0: not known
  bool foreign = false;      ///< the file is none of ours, or of another format: nothing was read
};

/// Pure. Whatever the bytes are.
last_words_found read_last_words(std::span<const std::byte> file);
/// Whether the process ended by this one: it is known so, or nothing is known (LW6).
bool is_suspect(const last_word& one, const last_words_found& of);

/// The file of a node that runs. Any thread may write to a slot of its own.
class last_words {
public:
  static constexpr std::size_t slots = 64, slot_bytes = 512;
  static constexpr std::size_t name_bytes = 64, excerpt_bytes = 256;
  static constexpr std::size_t file_bytes = slot_bytes * (slots + 1);

  /// Reads what the process before left (`found`), and clears nothing yet. Where the file cannot be had, `trouble` tells, and
  /// all calls do nothing.
  explicit last_words(const std::filesystem::path& file);
  ~last_words();
  last_words(const last_words&) = delete;
  last_words& operator=(const last_words&) = delete;

  const last_words_found& found() const { return found_; }
  /// Another process has the file open: nothing was read, and nothing will be written.
  bool in_use() const { return in_use_; }
  /// Empty, or what, where, what to do.
  const std::string& trouble() const { return trouble_; }
  /// What was found is kept elsewhere: its slots are free from here on. Nobody speaks before.
  void noted();

  /// A thread's slot for as long as this object lives; none if all are taken, or there is no file.
  class speaker {
  public:
    explicit speaker(last_words* in) noexcept;
    ~speaker();
    speaker(const speaker&) = delete;
    speaker& operator=(const speaker&) = delete;
    /// Before it is executed; what the slot said before is struck out.
    void begins(const spoken_word& what) noexcept;
    /// Of several that are executed in one go, this one now.
    void at(std::uint64_t position) noexcept;
    void ends() noexcept;

  private:
    last_words* const in_;
    std::byte* slot_ = nullptr;
    std::size_t index_ = 0;
    std::uint32_t* outer_ = nullptr;  ///< where a signal in this thread was noted before
  };

private:
  struct alignas(64) holder {
    std::atomic<bool> taken{false};
    std::uint64_t serial = 0;  ///< of the last word in the slot
  };
  void open(const std::filesystem::path& file);
  void fail(const std::filesystem::path& file, const std::string& what);
  std::byte* slot(std::size_t index) const { return memory_ + slot_bytes * (index + 1); }
  void begin_file();

  int fd_ = -1;
  std::byte* memory_ = nullptr;
  std::unique_ptr<std::array<holder, slots>> holders_;
  last_words_found found_;
  std::string trouble_;
  bool in_use_ = false;
};

}  // namespace cohort::persistence
