-- Renews earlier charges, each separately. A charge that still counts is replaced by one of the current time. Any other
-- is charged again if it fits. The numbers of a charge are its time and its cost. The answer to each is whether it was
-- renewed.
local function renew(entry, hit, numbers)
  local known, is_held = entry.known, false
  if entry.is_rewound and known and not entry.is_new then
    settle(entry, known)
  end
  hit.cost = numbers[2]
  if hit.cost == 0 then
    return 1
  end
  if known then
    is_held = hit.strategy.still_counts and hit.strategy.still_counts(known, hit.cost, numbers[1])
    local refunded = hit.strategy.settle(known, hit, hit.cost, 0, numbers[1])
    if refunded then
      settle(entry, refunded)
      known = refunded.expires > now and refunded or nil
      entry.known = known
    end
  end
  if not is_held and not hit.strategy.fits(known, hit) then
    return 0
  end
  entry.known = hit.strategy.charge(known, hit)
  settle(entry, entry.known)
  return 1
end

return change_each('<I7I7', renew)
