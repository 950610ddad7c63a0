// Why an item is in the answer: the sources' parts, the history items and the users behind it.
#pragma once

#include "aigc/engine.h"
#include "aigc/fusion.h"
#include "aigc/request.h"
#include "aigc/sources.h"

namespace aigc {

// Fills the shares, items and users of `ranked`. The part of a source that sums over the history is
// divided over the items that spoke for the answer, in proportion to what each added.
void explain(const Request& request, const Fused& item, const Scratch& scratch, RankedItem& ranked);

}  // namespace aigc
