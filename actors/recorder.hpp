// The recorder: owner of the journal.
//
// Promise: a listener hears of a record only after it is on disk, and in journal order. Of several results of one candidate the first to
// become durable counts; later ones are journalled as superseded.
#pragma once

#include <filesystem>
#include <memory>

#include <starling/actors/interfaces.hpp>

namespace starling::actors {

/// What the journal holds already, of a run that goes on; null where it is new.
using EarlierEntries = std::shared_ptr<const std::vector<run::JournalEntry>>;

/// Ends with an error where the journal cannot be written, and tells `control` why as "journal: …". Checkpoint files that were dropped are
/// deleted below `directory` once the drop is durable.
RecorderActor::behavior_type recorder(RecorderActor::pointer self, std::shared_ptr<run::Journal> journal, std::filesystem::path directory,
                                      ControlActor control, EarlierEntries earlier = nullptr);

}  // namespace starling::actors
