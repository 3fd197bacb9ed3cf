#include "actors/catalogue_desk.hpp"

#include <chrono>
#include <thread>

namespace cohort::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 8s;
constexpr auto again_after = 50ms;
constexpr auto seen_within = 5s;

}  // namespace

std::shared_ptr<group_entry> catalogue_entry(const transport::cluster_nodes& founders, std::shared_ptr<known_nodes> nodes,
                                             std::function<void(const catalogue::group_table&)> groups_changed) {
  catalogue::node_table first;
  first.founders = founders.founders.size();
  for (const auto& f : founders.founders) first.nodes.push_back({f.member, f.name, f.where, true});
  auto entry = std::make_shared<group_entry>();
  entry->name = catalogue_group;
  entry->how.replication = replication::active;
  entry->make_machine = [first = std::move(first), nodes = std::move(nodes), groups_changed = std::move(groups_changed)] {
    return std::make_unique<catalogue::machine>(first, [nodes](const catalogue::node_table& now) { nodes->update(now); }, groups_changed);
  };
  return entry;
}

std::future<change_result> catalogue_desk::ask(catalogue::command what, completion complete, std::function<bool()> seen) {
  auto answer = std::make_shared<std::promise<change_result>>();
  auto future = answer->get_future();
  worker_.post([this, what = std::move(what), complete = std::move(complete), seen = std::move(seen), answer]() mutable {
    auto result = carry_out(what, complete);
    const auto end = std::chrono::steady_clock::now() + seen_within;
    while (result.done && seen && !seen() && !ending_.load(std::memory_order_relaxed) && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(2ms);
    answer->set_value(std::move(result));
  });
  return future;
}

/// A command may be carried out twice without harm, so one whose outcome is unknown is given again.
change_result catalogue_desk::carry_out(catalogue::command& what, const completion& complete) {
  const auto end = std::chrono::steady_clock::now() + patience;
  auto port = open_();
  completion_batch done;
  std::string why = "no quorum of the cluster's nodes could be asked";
  while (!ending_.load(std::memory_order_relaxed) && std::chrono::steady_clock::now() < end) {
    if (const auto lacks = complete ? complete(what) : std::nullopt) {
      if (!lacks->empty()) return {false, *lacks};
      why = "this node does not know yet who the catalogue's members are";
      std::this_thread::sleep_for(again_after);
      continue;
    }
    port.submit(catalogue::encode(what), 1);
    port.flush();
    while (!port.take(done)) std::this_thread::sleep_for(2ms);  // each is answered, also when the node stops
    catalogue::verdict v;
    if (done[0].outcome == outcome::replied && catalogue::decode(done[0].reply, v)) return {v.done, v.why};
    why = std::string("the catalogue did not answer: ") + to_string(done[0].outcome);
    std::this_thread::sleep_for(again_after);
  }
  return {false, why};
}

}  // namespace cohort::detail
