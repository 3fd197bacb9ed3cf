// What a process is told of changes comes in an order that makes sense: indices never go back, contact is lost and found in
// turn, what is ended was begun, and excluded is who is in no view.
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <map>
#include <optional>

namespace cohort::sim {

using namespace protocol;

namespace {

class change_events final : public checker {
public:
  explicit change_events(book& b) : book_(b) {}
  const char* property() const override { return "order of change events"; }

  void delivered(const life& l, const deliver_batch& d) override {
    auto& s = states_[l.number];
    if (d.index < s.index)
      fail(name_of(l) + " delivers at index " + std::to_string(d.index) + " after index " + std::to_string(s.index));
    s.index = d.index;
  }
  void restored(const life& l, const mark& at) override {
    auto& s = states_[l.number];
    if (at.index < s.index) fail(name_of(l) + " is set back to index " + std::to_string(at.index));
    s.index = at.index;
    s.restored = true;
  }
  void installed(const life& l, const deliver_view& d) override {
    auto& s = states_[l.number];
    // What the entry of the view itself covers is delivered at its index.
    const bool again = !std::exchange(s.restored, false) && s.view_index && d.index <= *s.view_index;
    if (d.index < s.index || again)
      fail(name_of(l) + " enters view " + std::to_string(d.what->number) + " at index " + std::to_string(d.index) + " after index " +
           std::to_string(s.index));
    s.index = d.index;
    s.view_index = d.index;
    s.wedged_since_view = false;
  }
  void happened(const life& l, const event& e) override {
    auto& s = states_[l.number];
    const auto told = [&](const char* what) { fail(name_of(l) + " " + what); };
    switch (e.kind) {
      case event_kind::primary:
        if (e.flag == s.primary) told(e.flag ? "is in touch with the group again, and was" : "loses touch with the group, and had none");
        s.primary = e.flag;
        break;
      case event_kind::wedged:
        if (e.flag && s.wedged && s.wedged_since_view) told("stops for a view change, and had stopped");
        if (!e.flag && !s.wedged) told("goes on after a view change, and had not stopped");
        s.wedged = s.wedged_since_view = e.flag;
        break;
      case event_kind::founded:
        if (std::exchange(s.founded, true)) told("founds the group twice");
        break;
      case event_kind::excluded:
        if (book_.of(l).inc != 0) told("is excluded, and is a member");
        break;
      case event_kind::transfer_finished:
        if (!std::exchange(s.transfer, false)) told("has been given a checkpoint, and none was offered");
        break;
      case event_kind::transfer_started: s.transfer = true; break;
      default: break;
    }
  }

private:
  struct state {
    log_index index = 0;
    std::optional<log_index> view_index;
    bool primary = false, wedged = false, wedged_since_view = false, founded = false, transfer = false, restored = false;
  };
  std::map<std::uint64_t, state> states_;

  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_change_events(book& b) { return std::make_unique<change_events>(b); }

}  // namespace cohort::sim
