// The publisher: owner of HDF5 in the coordinator. It follows the recorder and brings run.h5 up to date every few seconds; it never delays
// an acknowledgement, and an error of its own (disk full) never stops the search.
#pragma once

#include <chrono>
#include <filesystem>

#include <starling/actors/interfaces.hpp>
#include <starling/actors/recorder.hpp>

namespace starling::actors {

/// The pause between publications is max(`pause`, 50 × the time the last one took), so that publishing costs at most 2 % of one core.
PublisherActor::behavior_type publisher(PublisherActor::pointer self, std::filesystem::path directory, std::chrono::milliseconds pause,
                                        EarlierEntries earlier = nullptr);

}  // namespace starling::actors
