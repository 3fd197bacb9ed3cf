#pragma once

#include <cohort/stream.hpp>

#include <capnp/message.h>
#include <capnp/serialize.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

/// For applications whose state is a Cap'n Proto struct. This header alone shows Cap'n Proto to those who include it;
/// it has no .cpp file, and is used with the package `cohort-capnp` (pkg-config).
namespace cohort {

/// Writes a struct so that `read_capnp` finds it among whatever else is written. Canonical: equal states give equal
/// bytes, as checkpoints of replicas must.
template <class Reader>
void write_capnp(sink& out, Reader what) {
  const auto words = capnp::canonicalize(what);
  const auto bytes = words.asBytes();
  out.write_bytes({reinterpret_cast<const char*>(bytes.begin()), bytes.size()});
}

/// Calls `use(reader)` with a struct that `write_capnp` wrote, perhaps in an older program: fields that this one's
/// schema has and that one's had not have their defaults. Throws `truncated_checkpoint` for bytes that are no such
/// struct.
template <class Struct, class Use>
void read_capnp(source& in, Use use) {
  const auto bytes = in.read_bytes();
  if (bytes.empty() || bytes.size() % sizeof(capnp::word) != 0)
    throw truncated_checkpoint("a Cap'n Proto struct of " + std::to_string(bytes.size()) +
                               " bytes; its size is a multiple of 8");
  auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  std::memcpy(words.begin(), bytes.data(), bytes.size());
  const kj::ArrayPtr<const capnp::word> segments[] = {words.asPtr()};
  capnp::ReaderOptions limits;
  // Damaged pointers may lead to one place again and again; what was written canonically has each word once.
  limits.traversalLimitInWords = 8 * words.size() + 1024;
  std::string why;
  try {
    capnp::SegmentArrayMessageReader message({segments, 1}, limits);
    use(message.getRoot<Struct>());
    return;
  } catch (const kj::Exception& e) {
    why = e.getDescription().cStr();
  }
  throw truncated_checkpoint("a Cap'n Proto struct that cannot be read: " + why);
}

/// A state that is a Cap'n Proto struct, for the `checkpoint` and `restore` of machines:
///
///   void checkpoint(sink& out) const override { state_.checkpoint(out); }
///   void restore(source& in, std::uint32_t written_by) override {
///     state_.restore(in);
///     if (written_by < 2) state_.get().setCurrency("EUR");  // what a default cannot say
///   }
///   std::uint32_t version() const override { return 2; }
///
/// A field that is only added needs neither version nor upgrade: it has its default. A version is for what changes its
/// meaning.
///
/// Cap'n Proto does not use the space of replaced texts and lists again; each `checkpoint_taken` and `restore` gives it
/// back, for as much as half of it is such space. No thread of its own.
template <class Struct>
class capnp_state {
public:
  capnp_state() : message_(std::make_unique<capnp::MallocMessageBuilder>()) { message_->template initRoot<Struct>(); }

  typename Struct::Builder get() { return message_->template getRoot<Struct>(); }
  typename Struct::Reader read() const { return message_->template getRoot<Struct>().asReader(); }

  void checkpoint(sink& out) const { write_capnp(out, read()); }
  void restore(source& in) {
    auto fresh = std::make_unique<capnp::MallocMessageBuilder>();
    read_capnp<Struct>(in, [&](typename Struct::Reader found) { fresh->setRoot(found); });
    message_ = std::move(fresh);
    compact_words_ = words();
  }
  void checkpoint_taken() {
    if (words() < 2 * std::max<std::size_t>(compact_words_, 1024)) return;
    auto fresh = std::make_unique<capnp::MallocMessageBuilder>();
    fresh->setRoot(read());
    message_ = std::move(fresh);
    compact_words_ = words();
  }
  /// What it takes in memory, in words of 8 bytes.
  std::size_t words() const {
    std::size_t all = 0;
    for (const auto& segment : message_->getSegmentsForOutput()) all += segment.size();
    return all;
  }

private:
  std::unique_ptr<capnp::MallocMessageBuilder> message_;
  std::size_t compact_words_ = 0;  ///< when it held nothing that is not used
};

}  // namespace cohort
