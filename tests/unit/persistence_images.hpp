#pragma once

#include "tests/unit/persistence_disk.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace cohort::persistence::samples {

/// The data file at some moment.
struct image {
  std::string bytes;

  static image of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {{std::istreambuf_iterator<char>(in), {}}};
  }
  void apply(const disk::event& e, std::size_t size_max = std::string::npos) {
    const auto n = std::min(e.bytes.size(), size_max);
    if (bytes.size() < e.offset + n) bytes.resize(e.offset + n);
    bytes.replace(e.offset, n, e.bytes, 0, n);
  }
  /// In place: a truncated and rewritten file costs more than everything else here.
  void put(const std::filesystem::path& file) const {
    {
      std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
      out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    std::filesystem::resize_file(file, bytes.size());
  }
};

inline std::filesystem::path memory_directory() {
  return std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
}

struct crash_counts {
  int writes = 0, images = 0, bad = 0;
};

/// Calls `judge(image)` for each content that the file may have after a kill or a power cut at each of the events, and
/// `noted(value)` for the notes in between. A text that `judge` returns is what is wrong.
template <class Noted, class Judge>
crash_counts for_each_crash(image on_disk, const std::vector<disk::event>& events, Noted noted, Judge judge) {
  auto in_cache = on_disk;
  std::vector<const disk::event*> unflushed;
  crash_counts counts;
  const auto check = [&](const image& i, const std::string& what, std::size_t at) {
    ++counts.images;
    const auto error = judge(i);
    if (error.empty() || ++counts.bad > 5) return;
    CAPTURE(what);
    CAPTURE(at);
    CHECK_MESSAGE(error.empty(), error);
  };
  check(on_disk, "nothing written", 0);
  for (std::size_t k = 0; k < events.size(); ++k) {
    const auto& e = events[k];
    if (e.what == disk::event::kind::note) {
      noted(e.offset);
    } else if (e.what == disk::event::kind::barrier) {
      on_disk = in_cache;
      unflushed.clear();
    } else {
      ++counts.writes;
      // The process dies here: the kernel still has all that was written. Also in the middle of this write.
      if (e.bytes.size() > 512) {
        auto torn = in_cache;
        torn.apply(e, e.bytes.size() / 2 / 512 * 512);
        check(torn, "killed in the middle of a write", k);
      }
      in_cache.apply(e);
      unflushed.push_back(&e);
      check(in_cache, "killed after a write", k);
    }
    // The power fails here: of what was not flushed, anything may be there.
    if (unflushed.empty()) {
      if (e.what == disk::event::kind::note) check(on_disk, "power cut when all was flushed", k);
      continue;
    }
    check(on_disk, "power cut, nothing unflushed survives", k);
    for (const auto* one : unflushed) {
      auto only = on_disk;
      only.apply(*one);
      check(only, "power cut, one unflushed write survives", k);
      auto all_but = on_disk;
      for (const auto* other : unflushed)
        if (other != one) all_but.apply(*other);
      check(all_but, "power cut, one unflushed write is lost", k);
    }
  }
  MESSAGE(counts.writes << " writes, " << counts.images << " crash images, " << counts.bad << " bad");
  CHECK(counts.bad == 0);
  return counts;
}

}  // namespace cohort::persistence::samples
