// The tables of run.h5, format 1.0: names, columns, widths, labels. Private to this floor.
//
// Reading is by name: later 1.x formats may add columns, tables and labels, and change none.
#pragma once

#include <string>
#include <vector>

#include <starling/run/records.hpp>
#include <starling/run/table.hpp>

namespace starling::run {

inline constexpr std::int32_t format_major = 1;
inline constexpr std::int32_t format_minor = 0;

/// Bytes of /events.detail_json.
inline constexpr std::size_t detail_width = 256;

/// Labels of /events.type; the values are in the file: add at the end only.
enum class EventType : std::uint8_t {
  run_started,
  attempt_lost,
  evaluation_failed,
  worker_joined,
  worker_left,
  checkpoint_dropped,
  reference_loss,
  run_ended,
  extension_started,
  extension_ended,
  device_given_up
};

struct Tables {
  /// `objectives` decide the obj_* columns of /evaluations.
  explicit Tables(const std::vector<ObjectiveInfo>& objectives);

  h5::Table candidates;
  h5::Table evaluations;
  h5::Table objectives;
  h5::Table curves;
  h5::Table lineage;
  h5::Table archive;
  h5::Table population;
  h5::Table checkpoints;
  h5::Table devices;
  h5::Table events;
  h5::Table tests;
  h5::Table retrainings;

  /// Brings every table of the file up to date.
  void write(hid_t file);
};

/// A row of /curves as it lies in memory.
struct CurveRow {
  std::int64_t evaluation_id = 0;
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  double train_loss = 0;
  double val_loss = 0;
  double lr = 0;
  double grad_norm = 0;
  double elapsed_s = 0;
};

}  // namespace starling::run
