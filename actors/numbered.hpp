#pragma once

#include "framework/protocol/group_number.hpp"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace cohort::detail {

/// Things of groups by their numbers, each at its place (`place_of`). What goes through all of them, in no order, pays for those that are
/// there only.
template <class T>
class numbered {
public:
  /// Null: there is none, or another one at its place.
  T* find(std::uint32_t number) const {
    auto* there = at_place(place_of(number));
    return there && places_[place_of(number)].number == number ? there : nullptr;
  }
  T& operator[](std::uint32_t number) const { return *find(number); }
  /// Whichever it is.
  T* at_place(std::uint32_t place) const { return place < places_.size() ? places_[place].what.get() : nullptr; }

  /// Its place is empty.
  void put(std::uint32_t number, std::shared_ptr<T> what) {
    const auto place = place_of(number);
    if (place >= places_.size()) places_.resize(place + 1);
    all_.push_back(what.get());
    places_[place] = {number, std::move(what)};
  }
  std::shared_ptr<T> take(std::uint32_t number) {
    auto* there = find(number);
    std::erase(all_, there);
    return there ? std::exchange(places_[place_of(number)].what, nullptr) : nullptr;
  }

  std::size_t size() const { return all_.size(); }

  class iterator {
  public:
    explicit iterator(typename std::vector<T*>::const_iterator at) : at_(at) {}
    T& operator*() const { return **at_; }
    iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator==(const iterator&) const = default;

  private:
    typename std::vector<T*>::const_iterator at_;
  };
  iterator begin() const { return iterator(all_.begin()); }
  iterator end() const { return iterator(all_.end()); }

private:
  struct place {
    std::uint32_t number = 0;
    std::shared_ptr<T> what;
  };
  std::vector<place> places_;
  std::vector<T*> all_;
};

}  // namespace cohort::detail
