-- Replaces charged costs by actual ones, each separately. The numbers of a charge are its time, the charged cost and the
-- actual cost. The answer to each is the stored state, or the number of an error.
local function adjust(entry, hit, numbers)
  local charged_at, charged, actual = numbers[1], numbers[2], numbers[3]
  local settled, failed
  if actual > charged or (actual < charged and entry.known) then
    -- The additional charge.
    hit.cost = actual - charged
    settled, failed = hit.strategy.settle(entry.known, hit, charged, actual, charged_at)
  end
  if settled then
    settle(entry, settled)
    entry.known = settled.expires > now and settled or nil
  elseif failed then
    return failed
  elseif entry.is_rewound and entry.known then
    settle(entry, entry.known)
  end
  return entry.known and (hit.strategy.show and hit.strategy.show(entry.known, hit, actual) or entry.packed) or ''
end

return change_each('<I7I7I7', adjust)
