#include <cohort/stable_storage.hpp>

#include "actors/node_impl.hpp"
#include "persistence/stable.hpp"

namespace cohort {

std::shared_ptr<stable_store> stable_storage_of(node& where, const stable_storage_options& how) {
  return where.internals().stable_storage(how);
}

std::shared_ptr<stable_store> node::impl::stable_storage(const stable_storage_options& how) {
  std::lock_guard guard(stable_mutex_);
  if (stable_) return stable_;
  if (!started_) throw node_error("stable storage: the node is not started");
  if (config.data.empty()) throw node_error("stable storage: the node has no data directory; set one");
  persistence::stable_options wanted;
  wanted.directory = config.data / "stable";
  wanted.mirror = how.mirror;
  wanted.store_bytes_max = how.store_bytes_max;
  auto opened = persistence::open_stable(wanted);
  if (!opened.store) throw node_error(opened.error);
  if (const auto trouble = opened.store->stats().trouble; !trouble.empty())
    log.write(detail::log_level::error, trouble);
  stable_ = std::move(opened.store);
  return stable_;
}

}  // namespace cohort
