#include "framework/protocol/assembler.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>

namespace {

using namespace cohort;
using namespace cohort::protocol;

struct text {
  std::string bytes;
  std::uint32_t size = 0;
};

payload payload_of(std::string bytes) {
  auto memory = std::make_shared<text>(text{std::move(bytes), 0});
  memory->size = static_cast<std::uint32_t>(memory->bytes.size());
  return {memory, {&memory->size, 1}, std::as_bytes(std::span(memory->bytes))};
}

deliver_batch part(std::uint16_t sender, sequence seq, order cls, std::string bytes, std::uint32_t number, bool more, view_number begun = 3) {
  deliver_batch b;
  b.sender = member_id{sender};
  b.inc = 7;
  b.seq = seq;
  b.cls = cls;
  b.what = payload_of(std::move(bytes));
  b.part = {number, more, begun};
  return b;
}

std::string bytes_of(const deliver_batch& b) { return {reinterpret_cast<const char*>(b.what.blob.data()), b.what.blob.size()}; }

view_ptr view_of(std::vector<std::uint16_t> members, view_number number, view_number admitted) {
  auto v = std::make_shared<view>();
  v->number = number;
  v->admitted = admitted;
  for (const auto m : members) v->roster.push_back({{member_id{m}, m + 100u}, 7, true, true});
  v->kinds = 3;  // slot 2m: plain, 2m + 1: causal
  return v;
}

class string_sink final : public sink {
public:
  void write(std::span<const std::byte> bytes) override { text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }
  std::string text;
};

class string_source final : public source {
public:
  explicit string_source(std::string text) : text_(std::move(text)) {}
  void read(std::span<std::byte> out) override {
    if (out.size() > text_.size() - at_) throw truncated_checkpoint("it ends");
    if (!out.empty()) std::memcpy(out.data(), text_.data() + at_, out.size());
    at_ += out.size();
  }
  std::uint64_t left() const override { return text_.size() - at_; }

private:
  std::string text_;
  std::size_t at_ = 0;
};

TEST_SUITE("protocol: assembler") {
  TEST_CASE("parts of several senders and orders become messages, whatever comes between them") {
    assembler a(1000);
    auto x0 = part(0, 1, order::total, "abc", 0, true);
    auto y0 = part(1, 1, order::total, "12", 0, true);
    auto z0 = part(0, 2, order::causal, "..", 0, true);
    auto x1 = part(0, 3, order::total, "de", 1, false);
    auto z1 = part(0, 4, order::causal, "!", 1, false);
    auto y1 = part(1, 2, order::total, "3", 1, false);
    CHECK_FALSE(a.take(x0));
    CHECK_FALSE(a.take(y0));
    CHECK_FALSE(a.take(z0));
    CHECK(a.bytes() == 7);
    REQUIRE(a.take(x1));
    CHECK(bytes_of(x1) == "abcde");
    CHECK(x1.what.sizes.size() == 1);
    CHECK(x1.what.sizes[0] == 5);
    CHECK(x1.part.whole());
    CHECK(x1.seq == 3);
    REQUIRE(a.take(z1));
    CHECK(bytes_of(z1) == "..!");
    REQUIRE(a.take(y1));
    CHECK(bytes_of(y1) == "123");
  }

  TEST_CASE("a sender that begins again is believed; what continues nothing, or is too large, is delivered to nobody") {
    assembler a(5);
    auto given_up = part(0, 1, order::fifo, "xx", 0, true);
    auto again = part(0, 2, order::fifo, "ab", 0, true);
    auto end = part(0, 3, order::fifo, "c", 1, false);
    CHECK_FALSE(a.take(given_up));
    CHECK_FALSE(a.take(again));
    REQUIRE(a.take(end));
    CHECK(bytes_of(end) == "abc");
    auto stray = part(0, 4, order::fifo, "c", 1, false);
    CHECK_FALSE(a.take(stray));
    auto first = part(1, 1, order::total, "abc", 0, true);
    auto gap = part(1, 2, order::total, "d", 2, false);
    CHECK_FALSE(a.take(first));
    CHECK_FALSE(a.take(gap));
    auto head = part(1, 3, order::total, "abc", 0, true);
    auto above = part(1, 4, order::total, "def", 1, false);
    CHECK_FALSE(a.take(head));
    CHECK_FALSE(a.take(above));
    CHECK(a.bytes() == 5);  // those that are kept for checkpoints: the finished one, and the one given up
  }

  TEST_CASE("an expired or interrupted end takes its message along") {
    assembler a(100);
    auto first = part(0, 1, order::total, "abc", 0, true);
    CHECK_FALSE(a.take(first));
    deliver_void v;
    v.sender = member_id{0};
    v.inc = 7;
    v.seq = 2;
    v.part = {1, false, 3};
    a.drop(v);
    CHECK(a.bytes() == 0);
  }

  TEST_CASE("views end what was begun before somebody came, and lanes whose owner went") {
    assembler a(100);
    auto early = part(0, 1, order::total, "abc", 0, true, 3);
    auto late = part(1, 1, order::total, "de", 0, true, 4);
    auto gone = part(2, 1, order::total, "fghi", 0, true, 4);
    for (auto* p : {&early, &late, &gone}) CHECK_FALSE(a.take(*p));
    a.view_installed(*view_of({0, 1, 2}, 5, 3));
    CHECK(a.bytes() == 9);
    a.view_installed(*view_of({0, 1}, 6, 4));
    CHECK(a.bytes() == 2);
    auto end = part(1, 2, order::total, "!", 1, false, 4);
    REQUIRE(a.take(end));
    CHECK(bytes_of(end) == "de!");
  }

  TEST_CASE("a checkpoint holds the parts below its cut, also of messages that live delivery has finished") {
    assembler a(100);
    auto t = part(0, 4, order::total, "tt", 0, true);
    auto f0 = part(0, 1, order::fifo, "ab", 0, true);
    auto f1 = part(0, 2, order::fifo, "cd", 1, true);
    auto f2 = part(0, 3, order::fifo, "e", 2, false);
    for (auto* p : {&t, &f0, &f1}) CHECK_FALSE(a.take(*p));
    REQUIRE(a.take(f2));
    const auto v = view_of({0}, 3, 3);
    string_sink out;
    a.checkpoint({9, 1, {}, {2, 4}, v, 0}, out);

    assembler b(100);
    string_source in(out.text);
    b.restore(in);
    CHECK(in.left() == 0);
    CHECK(b.bytes() == 6);
    auto again = part(0, 3, order::fifo, "e", 2, false);
    REQUIRE(b.take(again));
    CHECK(bytes_of(again) == "abcde");
    auto end = part(0, 5, order::total, "!", 1, false);
    REQUIRE(b.take(end));
    CHECK(bytes_of(end) == "tt!");

    string_sink covered;
    a.checkpoint({12, 1, {}, {3, 4}, v, 0}, covered);
    CHECK(a.bytes() == 2);  // the finished one is behind the cut
    CHECK(covered.text.size() < out.text.size());
  }

  TEST_CASE("how far live delivery has come does not show in a checkpoint of a cut behind it") {
    assembler ahead(100), behind(100);
    const auto v = view_of({0}, 3, 3);
    for (auto* a : {&ahead, &behind}) {
      auto given_up = part(0, 1, order::fifo, "xx", 0, true);
      CHECK_FALSE(a->take(given_up));
    }
    auto instead = part(0, 2, order::fifo, "ab", 0, true);
    CHECK_FALSE(ahead.take(instead));
    string_sink one, other;
    ahead.checkpoint({9, 1, {}, {1, 0}, v, 0}, one);
    behind.checkpoint({9, 1, {}, {1, 0}, v, 0}, other);
    CHECK(one.text == other.text);
    CHECK(ahead.bytes() == 4);
    ahead.reached({12, 1, {}, {2, 0}, v, 0});
    CHECK(ahead.bytes() == 2);  // the one given up is let go
  }

  TEST_CASE("what comes once more after a restore is not taken twice") {
    assembler a(100);
    auto p0 = part(0, 1, order::fifo, "ab", 0, true);
    auto p1 = part(0, 2, order::fifo, "cd", 1, true);
    CHECK_FALSE(a.take(p0));
    CHECK_FALSE(a.take(p1));
    for (auto again : {part(0, 1, order::fifo, "ab", 0, true), part(0, 2, order::fifo, "cd", 1, true)}) CHECK_FALSE(a.take(again));
    auto end = part(0, 3, order::fifo, "e", 2, false);
    REQUIRE(a.take(end));
    CHECK(bytes_of(end) == "abcde");
  }

  TEST_CASE("a damaged checkpoint is refused, and sizes nothing by what it claims") {
    assembler a(100);
    auto p0 = part(0, 1, order::total, "abcdef", 0, true);
    CHECK_FALSE(a.take(p0));
    string_sink out;
    a.checkpoint({9, 1, {}, {0, 1}, view_of({0}, 3, 3), 0}, out);
    for (std::size_t at = 0; at < out.text.size(); ++at) {
      string_source cut(out.text.substr(0, at));
      assembler b(100);
      CHECK_THROWS_AS(b.restore(cut), truncated_checkpoint);
    }
    for (const std::size_t number : {0, 1, 3, 5, 7}) {
      auto text = out.text;
      text[8 * number + 6] = '\x7f';
      string_source in(text);
      assembler b(100);
      CHECK_THROWS_AS(b.restore(in), truncated_checkpoint);
    }
  }
}

}  // namespace
