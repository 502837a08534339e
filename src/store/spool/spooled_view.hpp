#pragma once
// What is in the spool, as the store shows it.

#include <string>
#include <vector>

#include "store/spool/spool_file.hpp"
#include "store/store.hpp"

namespace detection::store::spool {

// All of an item whose acceptance is there.

[[nodiscard]] StoredDetection stored_of(SpooledItem item);
/// Of each of the sinks it is spooled; an exercise goes to none.
[[nodiscard]] DeliveryStatus spooled_status(const SpooledItem& item, const std::vector<std::string>& sinks);
/// The steps of its acceptance as the primary will show them, of the chain "spool"; the last is that it was spooled.
[[nodiscard]] std::vector<AuditEvent> timeline_of(const SpooledItem& item);

/// A page of `items` (newest first): those that the filter takes, at most `limit`. `window`: so many items were asked
/// for, fewer mean that there are no more.
[[nodiscard]] ListPage spooled_page(std::vector<SpooledItem> items, const ListFilter& filter,
                                    const std::vector<std::string>& sinks, std::size_t limit, std::size_t window);

}  // namespace detection::store::spool
