#include "transport/checksum.hpp"
#include "transport/codec.hpp"
#include "transport_samples.hpp"

#include <doctest/doctest.h>

#include <cstring>

using namespace cohort;
using namespace cohort::transport;
using namespace transport_samples;
namespace protocol = cohort::protocol;

namespace {

constexpr std::size_t kinds = std::variant_size_v<protocol::message>;

struct copy {
  std::shared_ptr<std::uint64_t[]> memory;
  std::span<std::byte> bytes;
  explicit copy(std::span<const std::byte> from)
      : memory(new std::uint64_t[from.size() / 8 + 1]),
        bytes(reinterpret_cast<std::byte*>(memory.get()), from.size()) {
    std::memcpy(bytes.data(), from.data(), from.size());
  }
  // A changed frame whose checksum is right: what a hostile peer sends.
  void seal() {
    std::uint32_t length = 0;
    std::memcpy(&length, bytes.data(), 4);
    const auto check = static_cast<std::uint32_t>(checksum(bytes.subspan(8), length));
    std::memcpy(bytes.data() + 4, &check, 4);
  }
};

decode_status decode_alone(std::span<const std::byte> bytes, std::vector<decoded>& out,
                           const codec_limits& limits = {}, std::string* why = nullptr) {
  out.clear();
  return decode(bytes, nullptr, limits, out, why);
}

// Reads everything a decoded message claims to hold, so that a sanitizer sees a claim that is not true.
std::uint64_t touch(const protocol::message& m) {
  std::uint64_t sum = 0;
  const auto add = [&](const protocol::payload& p) {
    std::uint64_t bytes = 0;
    for (const auto s : p.sizes) bytes += s;
    CHECK(bytes == p.blob.size());
    for (const auto b : p.blob) sum += static_cast<std::uint64_t>(b);
  };
  if (const auto* b = std::get_if<protocol::batch>(&m)) add(b->what);
  if (const auto* c = std::get_if<protocol::chunk>(&m)) add(c->data);
  return sum;
}

}  // namespace

TEST_SUITE("codec") {
  TEST_CASE("every message comes back as it was sent") {
    generator r(1);
    encoder e(member_id{7});
    std::vector<decoded> out;
    for (std::size_t kind = 0; kind < kinds; ++kind)
      for (int i = 0; i < 500; ++i) {
        CAPTURE(kind);
        CAPTURE(i);
        const auto sent = draw(kind, r);
        const auto f = e.encode(5, sent);
        REQUIRE(f);
        REQUIRE(f.bytes.size() % 8 == 0);
        REQUIRE(frame_intact(f.bytes));
        frame_header head;
        REQUIRE(read_header(f.bytes, 1u << 20, head) == header_status::ok);
        REQUIRE(head.sender == 7);
        REQUIRE(head.length == f.bytes.size());
        REQUIRE(decode_alone(f.bytes, out) == decode_status::ok);
        REQUIRE(out.size() == 1);
        REQUIRE(out[0].group == 5);
        REQUIRE(same(sent, out[0].what));
      }
  }

  TEST_CASE("the acks of all groups travel in one frame") {
    generator r(2);
    encoder e(member_id{0});
    std::vector<group_ack> acks;
    for (std::uint32_t g = 0; g < 200; ++g) acks.push_back({g * 3, std::get<protocol::ack>(draw(2, r))});
    const auto f = e.encode(acks);
    std::vector<decoded> out;
    REQUIRE(decode_alone(f.bytes, out) == decode_status::ok);
    REQUIRE(out.size() == acks.size());
    for (std::size_t i = 0; i < acks.size(); ++i) {
      CHECK(out[i].group == acks[i].group);
      CHECK(same(out[i].what, acks[i].what));
    }
    codec_limits few;
    few.acks_max = 199;
    CHECK(decode_alone(f.bytes, out, few) == decode_status::malformed);
    CHECK(out.empty());
  }

  TEST_CASE("a pulse comes back as it was sent, and a hostile one is refused") {
    encoder out(member_id{3});
    protocol::pulse sent{5, protocol::instant(100), protocol::instant(90), 7, 6, false, {}};
    sent.changes = {{1, protocol::vouch_kind::leads, 4}, {1023, protocol::vouch_kind::none, 0}, {2, protocol::vouch_kind::follows, 9}};
    const auto f = out.encode(sent);
    REQUIRE(frame_intact(f.bytes));
    CHECK(f.type == frame_type::pulse);
    protocol::pulse got;
    std::string why;
    REQUIRE(decode(f.bytes, {}, got, why));
    CHECK(got.number == 5);
    CHECK(got.send_time == sent.send_time);
    CHECK(got.echo_time == sent.echo_time);
    CHECK(got.first_change == 7);
    CHECK(got.known == 6);
    CHECK_FALSE(got.complete);
    CHECK(got.changes == sent.changes);
    codec_limits tight;
    tight.changes_max = 2;
    CHECK_FALSE(decode(f.bytes, tight, got, why));
    sent.send_time = protocol::instant(-1);
    CHECK_FALSE(decode(out.encode(sent).bytes, {}, got, why));
    sent.send_time = protocol::instant(1);
    sent.changes[0].kind = static_cast<protocol::vouch_kind>(7);
    CHECK_FALSE(decode(out.encode(sent).bytes, {}, got, why));
    for (std::size_t n = 24; n < f.bytes.size(); n += 8) {
      const copy part(f.bytes.first(n));
      (void)decode(part.bytes, {}, got, why);
    }
  }

  TEST_CASE("a payload is not copied, and keeps the received block alive") {
    encoder e(member_id{1});
    const protocol::batch sent{3, 1, 9, 77, make_payload({"one", "", "three"})};
    const copy received(e.encode(0, sent).bytes);
    std::weak_ptr<std::uint64_t[]> watch = received.memory;
    std::vector<decoded> out;
    {
      auto owner = received.memory;
      REQUIRE(decode(received.bytes, owner, {}, out) == decode_status::ok);
    }
    auto& got = std::get<protocol::batch>(out.at(0).what);
    CHECK(got.what.blob.data() > received.bytes.data());
    CHECK(got.what.blob.data() + got.what.blob.size() <= received.bytes.data() + received.bytes.size());
    CHECK(text_of(got.what, 0) == "one");
    CHECK(text_of(got.what, 1).empty());
    CHECK(text_of(got.what, 2) == "three");
    CHECK(watch.use_count() == 2);
    out.clear();
    CHECK(watch.use_count() == 1);
  }

  TEST_CASE("a large frame that does not fit the scratch memory is encoded, too") {
    generator r(3);
    encoder e(member_id{1});
    protocol::append a;
    a.term = 4;
    for (std::uint64_t i = 1; i <= 4096; ++i) {
      protocol::entry one;
      one.index = i;
      one.kind = protocol::entry_kind::cut;
      one.cut = {i, 2 * i, 3 * i};
      a.entries.push_back(one);
    }
    std::vector<decoded> out;
    for (int round = 0; round < 3; ++round) {  // the grown scratch is clean again each time
      REQUIRE(decode_alone(e.encode(0, a).bytes, out) == decode_status::ok);
      CHECK(same(out[0].what, a));
      REQUIRE(decode_alone(e.encode(0, protocol::join{1, 2, true}).bytes, out) == decode_status::ok);
      CHECK(same(out[0].what, protocol::join{1, 2, true}));
    }
    a.entries.emplace_back();
    std::string why;
    CHECK(decode_alone(e.encode(0, a).bytes, out, {}, &why) == decode_status::malformed);
    CHECK(why == "too many entries");
  }

  TEST_CASE("limits hold when sending and when receiving") {
    codec_limits small;
    small.frame_bytes_max = 4096;
    encoder e(member_id{1}, small);
    CHECK_FALSE(e.encode(0, protocol::batch{0, 0, 1, 0, make_payload({std::string(4096, 'x')})}));
    CHECK(e.encode(0, protocol::batch{0, 0, 1, 0, make_payload({std::string(3900, 'x')})}));

    encoder free(member_id{1});
    std::vector<decoded> out;
    const auto f = free.encode(0, protocol::batch{0, 0, 1, 0, make_payload({std::string(5000, 'x')})});
    CHECK(decode_alone(f.bytes, out, small) == decode_status::malformed);
    frame_header head;
    CHECK(read_header(f.bytes, small.frame_bytes_max, head) == header_status::malformed);

    protocol::report wide;
    wide.front.assign(1025, 1);
    CHECK(decode_alone(free.encode(0, wide).bytes, out) == decode_status::malformed);
    wide.front.resize(1024);
    CHECK(decode_alone(free.encode(0, wide).bytes, out) == decode_status::ok);
  }

  TEST_CASE("a batch above one message's limit still fits the frame limit meant for it") {
    constexpr std::size_t message_max = 1 << 20, batch_bytes = 64 * 1024;
    codec_limits limits;
    limits.frame_bytes_max = frame_bytes_for(message_max, batch_bytes);
    encoder e(member_id{1}, limits);
    std::vector<std::string> messages(batch_bytes - 1, "x");
    messages.push_back(std::string(message_max, 'y'));
    CHECK(e.encode(0, protocol::batch{0, 0, 1, 0, make_payload(messages)}));
  }

  TEST_CASE("contents that no correct peer sends are refused") {
    encoder e(member_id{1});
    std::vector<decoded> out;
    std::string why;
    protocol::append entry_without_view;
    entry_without_view.entries.resize(1);
    entry_without_view.entries[0].kind = protocol::entry_kind::view;
    CHECK(decode_alone(e.encode(0, entry_without_view).bytes, out, {}, &why) == decode_status::malformed);
    CHECK(why == "a view entry without a view");

    entry_without_view.entries[0].kind = static_cast<protocol::entry_kind>(9);
    CHECK(decode_alone(e.encode(0, entry_without_view).bytes, out, {}, &why) == decode_status::malformed);
    CHECK(why == "an entry of unknown kind");

    protocol::vote odd;
    odd.phase = static_cast<protocol::vote_phase>(2);
    CHECK(decode_alone(e.encode(0, odd).bytes, out) == decode_status::malformed);

    auto unsorted = std::make_shared<protocol::view>();
    unsorted->roster.resize(2);
    unsorted->roster[0].id = {member_id{2}, 1};
    unsorted->roster[1].id = {member_id{1}, 1};
    CHECK(decode_alone(e.encode(0, protocol::form{protocol::form_phase::propose, 1, unsorted}).bytes, out, {}, &why) ==
          decode_status::malformed);
    CHECK(why == "a view's roster is not sorted");

    protocol::ack late;
    late.echo_time = protocol::never;
    CHECK(decode_alone(e.encode(0, late).bytes, out) == decode_status::malformed);
    late.echo_time = protocol::instant(-1);
    CHECK(decode_alone(e.encode(0, late).bytes, out) == decode_status::malformed);
  }

  TEST_CASE("sizes that do not add up, also where 32 bits would overflow, are refused") {
    encoder e(member_id{1});
    const auto f = e.encode(0, protocol::batch{0, 0, 1, 0, make_payload({"abcd", "efgh", "", "ijkl"})});
    std::vector<decoded> out;
    copy honest(f.bytes);
    REQUIRE(decode_alone(honest.bytes, out) == decode_status::ok);
    const auto* sizes = std::get<protocol::batch>(out[0].what).what.sizes.data();
    const auto at = static_cast<std::size_t>(reinterpret_cast<const std::byte*>(sizes) - honest.bytes.data());
    // 2^32 + 12 in 32 bits is 12 again.
    const std::uint32_t wrapped[] = {0xffffffff, 1, 0, 12};
    std::memcpy(honest.bytes.data() + at, wrapped, sizeof wrapped);
    honest.seal();
    std::string why;
    CHECK(decode_alone(honest.bytes, out, {}, &why) == decode_status::malformed);
    CHECK(why == "the sizes do not add up to the payload");
  }

  TEST_CASE("a list that many entries refer to is not read for each of them") {
    encoder e(member_id{1});
    protocol::append a;
    for (std::uint64_t i = 0; i < 200; ++i) {
      auto& one = a.entries.emplace_back();
      one.kind = protocol::entry_kind::cut;
      one.cut.assign(i == 0 ? 1000 : 1, 2);
    }
    copy f(e.encode(0, a).bytes);
    std::vector<decoded> out;
    REQUIRE(decode_alone(f.bytes, out) == decode_status::ok);
    // Pointers to lists of 64-bit numbers: 1 in the lowest bits, 5 above 32 bits, then the number of elements.
    std::int64_t target = 0;
    int moved = 0;
    for (std::size_t at = frame_header_bytes; at < f.bytes.size(); at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, f.bytes.data() + at, 8);
      const auto count = word >> 35;
      if ((word & 3) != 1 || (word >> 32 & 7) != 5 || (count != 1000 && count != 1)) continue;
      const auto here = static_cast<std::int64_t>(at / 8) + 1;
      if (count == 1000) target = here + static_cast<std::int32_t>(static_cast<std::uint32_t>(word)) / 4;
      if (count == 1000 || target == 0) continue;
      const auto offset = static_cast<std::uint32_t>(target - here) << 2 | 1;
      word = std::uint64_t{1000} << 35 | std::uint64_t{5} << 32 | offset;
      std::memcpy(f.bytes.data() + at, &word, 8);
      ++moved;
    }
    REQUIRE(moved == 199);
    f.seal();
    std::string why;
    CHECK(decode_alone(f.bytes, out, {}, &why) == decode_status::malformed);
    CHECK(why.find("not decodable") != std::string::npos);
    CHECK(out.empty());
  }

  TEST_CASE("an unknown kind of frame is told from a malformed one") {
    encoder e(member_id{1});
    copy f(e.encode(0, protocol::join{1, 2, true}).bytes);
    f.bytes[8] = std::byte{200};
    f.seal();
    std::vector<decoded> out;
    CHECK(frame_intact(f.bytes));
    CHECK(decode_alone(f.bytes, out) == decode_status::unknown_type);
    CHECK(decode_alone(e.encode(frame_type::ping).bytes, out) == decode_status::unknown_type);
    CHECK(e.encode(frame_type::ping).bytes.size() == frame_header_bytes);
  }

  TEST_CASE("every flipped bit of a frame is noticed") {
    encoder e(member_id{1});
    copy f(e.encode(3, protocol::batch{1, 2, 3, 4, make_payload({"some", "payload"})}).bytes);
    REQUIRE(frame_intact(f.bytes));
    for (std::size_t i = 0; i < f.bytes.size() * 8; ++i) {
      CAPTURE(i);
      const auto bit = std::byte{static_cast<unsigned char>(1u << (i % 8))};
      f.bytes[i / 8] ^= bit;
      CHECK_FALSE(frame_intact(f.bytes));
      f.bytes[i / 8] ^= bit;
    }
  }
}

TEST_SUITE("fuzz") {
  TEST_CASE("every truncation of a valid frame is refused or harmless") {
    generator r(4);
    encoder e(member_id{1});
    std::vector<decoded> out;
    for (std::size_t kind = 0; kind < kinds; ++kind)
      for (int round = 0; round < 8; ++round) {
        const auto f = e.encode(0, draw(kind, r));
        for (std::size_t length = 0; length < f.bytes.size(); ++length) {
          CAPTURE(kind);
          CAPTURE(length);
          copy cut(f.bytes.first(length));
          CHECK(decode_alone(cut.bytes, out) == decode_status::malformed);  // the header's length is another
          CHECK_FALSE(frame_intact(cut.bytes));
          if (length < frame_header_bytes || length % 8 != 0) continue;
          // The hostile version: header and checksum agree with what is left.
          const auto claimed = static_cast<std::uint32_t>(length);
          std::memcpy(cut.bytes.data(), &claimed, 4);
          cut.seal();
          CHECK(frame_intact(cut.bytes));
          (void)decode_alone(cut.bytes, out);
          for (const auto& d : out) (void)touch(d.what);
        }
      }
  }

  TEST_CASE("100,000 mutated frames do no harm") {
    generator r(5);
    encoder e(member_id{1});
    std::vector<decoded> out;
    std::uint64_t accepted = 0, refused = 0;
    for (int i = 0; i < 100'000; ++i) {
      copy f(e.encode(static_cast<std::uint32_t>(r()), draw(r() % kinds, r)).bytes);
      for (auto changes = 1 + r() % 6; changes > 0; --changes) {
        const auto at = frame_header_bytes + r() % (f.bytes.size() - frame_header_bytes);
        switch (r() % 4) {
          case 0: f.bytes[at] = static_cast<std::byte>(r()); break;
          case 1: f.bytes[at] ^= std::byte{static_cast<unsigned char>(1u << (r() % 8))}; break;
          case 2: f.bytes[at] = std::byte{0xff}; break;
          default: {  // a whole word: pointers are words
            const auto word = r() % 2 ? r() : r() % 64;
            std::memcpy(f.bytes.data() + at / 8 * 8, &word, 8);
          }
        }
      }
      if (r() % 8 == 0) f.bytes[8] = static_cast<std::byte>(16 + r() % 15);  // a struct read as another
      f.seal();
      std::string why;
      const auto status = decode_alone(f.bytes, out, {}, &why);
      if (status == decode_status::ok) {
        ++accepted;
        for (const auto& d : out) (void)touch(d.what);
      } else {
        ++refused;
        CHECK((status == decode_status::unknown_type || !why.empty()));
        CHECK(out.empty());
      }
    }
    // Both happen often, so neither side of the decoder went untested.
    CHECK(accepted > 10'000);
    CHECK(refused > 10'000);
  }
}
