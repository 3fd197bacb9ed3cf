#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace cohort::detail {

/// Things by number, with holes. What goes through all of them, in no order, pays for those that are there only.
template <class T>
class numbered {
public:
  /// Null: there is none.
  T* find(std::uint32_t number) const { return number < by_number_.size() ? by_number_[number].get() : nullptr; }
  T& operator[](std::uint32_t number) const { return *by_number_[number]; }

  void put(std::uint32_t number, std::shared_ptr<T> what) {
    if (number >= by_number_.size()) by_number_.resize(number + 1);
    all_.push_back(what.get());
    by_number_[number] = std::move(what);
  }
  std::shared_ptr<T> take(std::uint32_t number) {
    std::erase(all_, find(number));
    return number < by_number_.size() ? std::exchange(by_number_[number], nullptr) : nullptr;
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
  std::vector<std::shared_ptr<T>> by_number_;
  std::vector<T*> all_;
};

}  // namespace cohort::detail
