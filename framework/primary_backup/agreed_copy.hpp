#pragma once

#include <cohort/primary_backup.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace cohort::primary_backup {

/// Where a cold backup's state lies: an image and the changes since. Losing it loses nothing that the journal has not.
class cold_store {
public:
  virtual ~cold_store() = default;
  /// Replaces image and changes by what `write` writes.
  virtual void keep_image(const std::function<void(sink&)>& write) = 0;
  virtual void append(std::span<const std::byte> change) = 0;
  /// Hands out the image (not called if there never was one), then each change in order.
  virtual void read(const std::function<void(source&)>& image, const std::function<void(std::span<const std::byte>)>& change) = 0;
};

/// The state as all members agreed upon it, as ready as the kind of backup wants it.
class agreed_copy {
public:
  /// `store` is needed for cold backups only.
  agreed_copy(primary_service_factory make, backup_kind kind, std::unique_ptr<cold_store> store);
  ~agreed_copy();

  void apply(std::span<const std::byte> change);
  /// The service with all changes applied; a cold one is read for it, and stays until `rest`.
  primary_service& current();
  /// The service is there, with all changes applied.
  bool up_to_date() const { return service_ && applies_at_once(); }
  /// From here on changes are applied at once (the member executes), or as the kind wants it.
  void in_office(bool now);
  /// Ends what `current` had to be made for: a cold copy goes back to its store.
  void rest();
  void restore(source& in);
  /// A second service with the same state.
  std::unique_ptr<primary_service> duplicate();

private:
  struct kept_change {
    std::size_t offset, length;
  };
  bool applies_at_once() const { return kind_ == backup_kind::hot || in_office_; }
  void catch_up();

  primary_service_factory make_;
  backup_kind kind_;
  std::unique_ptr<cold_store> store_;
  std::unique_ptr<primary_service> service_;  ///< null: cold, and at rest
  std::vector<std::byte> kept_bytes_;         ///< warm: changes since the last checkpoint
  std::vector<kept_change> kept_;
  bool in_office_ = false;
};

}  // namespace cohort::primary_backup
