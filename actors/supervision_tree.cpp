#include "actors/supervision.hpp"

#include <algorithm>

namespace cohort {

void detail::check_child_name(const std::string& name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  };
  if (name.empty() || name.size() > 64 || !std::all_of(name.begin(), name.end(), good))
    throw node_error("the child's name \"" + name + "\" is not 1 to 64 characters of A-Z a-z 0-9 _ . -");
}

supervision_tree::supervision_tree(std::string name, supervisor_options how) {
  detail::check_child_name(name);
  auto made = std::make_shared<detail::tree_spec>();
  made->name = std::move(name);
  made->how = how;
  spec_ = std::move(made);
}

/// Trees are values: a copy that is changed is another tree.
detail::tree_spec& supervision_tree::mutable_spec() {
  // A supervisor that runs it keeps what it was started with.
  if (spec_.use_count() > 1) spec_ = std::make_shared<detail::tree_spec>(*spec_);
  return const_cast<detail::tree_spec&>(*spec_);  // made here, by these two functions and the constructor
}

void supervision_tree::add_name(const std::string& name) {
  if (!mutable_spec().names.insert(name).second) throw node_error("child " + name + " is named twice in " + spec_->name);
}

supervision_tree& supervision_tree::child(std::string name, child_factory make, child_options how) {
  detail::check_child_name(name);
  if (!make) throw node_error("child " + name + ": no factory is given");
  if (how.mailbox.messages_max == 0 || how.mailbox.poison_after == 0)
    throw node_error("child " + name + ": messages_max and poison_after must be at least 1");
  add_name(name);
  mutable_spec().children.push_back({std::move(name), how, std::move(make), nullptr, {}});
  return *this;
}

supervision_tree& supervision_tree::branch(supervision_tree nested) {
  add_name(nested.spec_->name);
  mutable_spec().children.push_back({nested.spec_->name, {}, {}, nested.spec_, {}});
  return *this;
}

}  // namespace cohort
