// Payload that travels compressed.
#include "transport/checksum.hpp"
#include "transport/compression.hpp"
#include "transport_nodes.hpp"
#include "transport_samples.hpp"

#include <doctest/doctest.h>

#include <cstring>

using namespace transport_nodes;
using transport_samples::make_payload;

namespace {

constexpr member_id m0{0}, m1{1};
const std::vector<member_id> to_m1{m1}, to_m0{m0};

protocol::batch words(std::uint64_t seq, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += "seat " + std::to_string(text.size() * seq % 977) + " sold; ";
  return {1, 0, seq, 0, make_payload({text})};
}

protocol::batch noise(std::uint64_t seq, std::size_t bytes) {
  transport_samples::generator r(seq);
  std::string text(bytes, ' ');
  for (auto& c : text) c = static_cast<char>(r());
  return {1, 0, seq, 0, make_payload({text})};
}

struct bench {
  std::shared_ptr<block_pool> pool = std::make_shared<block_pool>();
  encoder e{m0};
  frame_packer packer{pool};
  frame_unpacker unpacker{pool};
  codec_limits limits;
};

}  // namespace

TEST_SUITE("compression") {
  TEST_CASE("a packed frame is smaller, intact, and unpacks to the same message") {
    bench b;
    for (const std::size_t bytes : {1100, 4096, 70000, 300000, 3000000}) {
      const auto plain = b.e.encode(7, words(5, bytes));
      const auto packed = b.packer.pack(plain);
      REQUIRE(packed);
      CHECK(packed.bytes.size() % 8 == 0);
      CHECK(packed.bytes.size() < plain.bytes.size() * 7 / 8);
      CHECK(frame_intact(packed.bytes));
      CHECK(packed.type == frame_type::batch);
      std::string why;
      const auto back = b.unpacker.unpack(packed.bytes, b.limits.frame_bytes_max, why);
      REQUIRE(back);
      CHECK(back.bytes.size() == plain.bytes.size());
      std::vector<decoded> out;
      REQUIRE(decode(back.bytes, back.owner, b.limits, out, &why) == decode_status::ok);
      CHECK(out.at(0).group == 7);
      CHECK(transport_samples::same(out.at(0).what, words(5, bytes)));
    }
  }

  TEST_CASE("what would not get smaller goes as it is") {
    bench b;
    CHECK_FALSE(b.packer.pack(b.e.encode(1, noise(3, 100000))));
    CHECK_FALSE(b.packer.pack(b.e.encode(1, words(3, 200))));
  }

  TEST_CASE("a hostile packed frame is refused before it costs more than the largest frame") {
    bench b;
    const auto packed = b.packer.pack(b.e.encode(1, words(9, 50000)));
    REQUIRE(packed);
    const auto refused = [&](const std::vector<std::byte>& bytes, std::size_t frame_bytes_max = 18u << 20) {
      std::string why;
      const auto out = b.unpacker.unpack(bytes, frame_bytes_max, why);
      CHECK(why.empty() == static_cast<bool>(out));
      return !out;
    };
    const std::vector<std::byte> good(packed.bytes.begin(), packed.bytes.end());
    CHECK_FALSE(refused(good));
    CHECK(refused(good, 50000));
    const auto with = [&](std::size_t at, std::uint32_t value) {
      auto bad = good;
      std::memcpy(bad.data() + at, &value, sizeof value);
      return bad;
    };
    std::uint32_t plain_length = 0, packed_length = 0;
    std::memcpy(&plain_length, good.data() + 16, 4);
    std::memcpy(&packed_length, good.data() + 20, 4);
    for (const std::uint32_t length : {0u, 8u, 16u, plain_length - 8, plain_length + 8, plain_length + 1, 0x7ffffff8u, 0xffffffffu})
      CHECK(refused(with(16, length)));
    for (const std::uint32_t length : {0u, packed_length - 1, packed_length + 8, 0xffffffffu}) CHECK(refused(with(20, length)));
    for (std::size_t length = 0; length + 8 <= good.size(); length += 8)
      CHECK(refused(std::vector<std::byte>(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length))));
    // Any byte may be another one: the frame is refused, or unpacks to as much as it says, and decodes or does not.
    transport_samples::generator r(17);
    for (std::size_t i = 16; i < good.size(); ++i) {
      auto bad = good;
      bad[i] ^= static_cast<std::byte>(1 + r() % 255);
      std::string why;
      const auto out = b.unpacker.unpack(bad, b.limits.frame_bytes_max, why);
      if (!out) continue;
      CHECK(out.bytes.size() == plain_length);
      std::vector<decoded> messages;
      (void)decode(out.bytes, out.owner, b.limits, messages, &why);
    }
  }

  TEST_CASE("each node decides for itself, and what arrives is the same") {
    loop l;
    auto configs = cluster(2);
    configs[0].compress = true;
    node a{l, configs[0]}, b{l, configs[1]};
    REQUIRE(a.start() == "");
    REQUIRE(b.start() == "");
    REQUIRE(run_until(l, [&] { return a.linked(1) && b.linked(0); }));
    for (std::uint64_t i = 1; i <= 5; ++i) {
      a.link->send(1, to_m1, i % 2 ? words(i, 40000 * i) : noise(i, 40000 * i));
      b.link->send(1, to_m0, words(i, 40000 * i));
    }
    REQUIRE(run_until(l, [&] { return a.messages.size() == 5 && b.messages.size() == 5; }));
    for (std::uint64_t i = 1; i <= 5; ++i) {
      CHECK(transport_samples::same(b.messages[i - 1].what, i % 2 ? words(i, 40000 * i) : noise(i, 40000 * i)));
      CHECK(transport_samples::same(a.messages[i - 1].what, words(i, 40000 * i)));
    }
    CHECK(a.link->stats().packed_frames == 3);
    CHECK(a.link->stats().packed_to_bytes < a.link->stats().packed_from_bytes / 2);
    CHECK(b.link->stats().unpacked_frames == 3);
    CHECK(b.link->stats().packed_frames == 0);
    CHECK(a.link->stats().malformed + b.link->stats().malformed == 0);
  }

  TEST_CASE("who packs what is no payload is turned away") {
    loop l;
    auto configs = cluster(2);
    node a{l, configs[0]}, b{l, configs[1]};
    REQUIRE(a.start() == "");
    REQUIRE(b.start() == "");
    REQUIRE(run_until(l, [&] { return a.linked(1) && b.linked(0); }));
    bench e;
    auto packed = e.packer.pack(e.e.encode(1, words(1, 20000)));
    std::vector<std::byte> bytes(packed.bytes.begin(), packed.bytes.end());
    bytes[8] = static_cast<std::byte>(frame_type::append);
    const auto check = static_cast<std::uint32_t>(checksum(std::span(bytes).subspan(8), bytes.size()));
    std::memcpy(bytes.data() + 4, &check, sizeof check);
    CHECK(a.link->send(m1, frame{nullptr, bytes, frame_type::append}));
    REQUIRE(run_until(l, [&] { return b.link->stats().malformed == 1; }));
  }
}
