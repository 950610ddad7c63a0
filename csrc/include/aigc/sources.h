// Candidate generation: each source names the items it would show, with scores above 0.
#pragma once

#include <vector>

#include "aigc/accumulator.h"
#include "aigc/request.h"
#include "aigc/top_k.h"

namespace aigc {

struct SimilarUser {
  std::uint32_t row;
  float similarity;
};

// Memory that a thread reuses from request to request.
struct Scratch {
  Accumulator items;
  Accumulator users;
  TopKBuffer best;
  std::vector<SimilarUser> neighbours;
  bool neighbours_made = false;
};

// The best `source.limit` items that pass the request's filters, ties by the lower row; best first
// when they are calibrated by rank, else in no order. They stand in `scratch` until the next call.
std::vector<Scored>& candidates(const Request& request, const Source& source, Scratch& scratch);

// Users of the snapshot by idf-weighted cosine over distinct liked items: Σ idf² over the items in
// common / (‖u‖ ‖v‖). Best first; the user is left out.
void similar_users(const State& state, const std::vector<WeightedItem>& history, std::uint32_t self,
                   std::size_t count, Scratch& scratch);

// What item i says of item j in a model, 0 when j is not on i's list.
float similarity(const State& state, const ItemItemModel& model, std::uint32_t i, std::uint32_t j);

// The model of that name, or null.
const ItemItemModel* find_model(const State& state, const std::string& name);

}  // namespace aigc
