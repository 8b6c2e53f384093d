-- Renews earlier charges, each separately. A charge that still counts is replaced by one of the current time. Any other
-- is charged again if it fits. ARGV[2] has the time and the cost of each charge. A state that cannot be read does not
-- stop the others.
local function renew(entry, hit, charged_at)
  if hit.cost == 0 then
    return true
  end
  local known, is_held = entry.known, false
  if known then
    is_held = hit.strategy.still_counts and hit.strategy.still_counts(known, hit.cost, charged_at)
    local refunded = hit.strategy.settle(known, hit, hit.cost, 0, charged_at)
    if refunded then
      settle(entry, refunded)
      known = refunded.expires > now and refunded or nil
      entry.known = known
    end
  end
  if not is_held and not hit.strategy.fits(known, hit) then
    return false
  end
  entry.known = hit.strategy.charge(known, hit)
  settle(entry, entry.known)
  return true
end

local at, entries, renewed = 1, {}, { now }
local hits = read_hits(ARGV[1], 0)
for i, hit in ipairs(hits) do
  local charged_at
  charged_at, hit.cost, at = struct.unpack('<I7I7', ARGV[2], at)
  local entry, is_read = entries[hit.entry], true
  if not entry then
    is_read, entry = pcall(read_entry, KEYS[hit.entry], hit.strategy)
    entry = is_read and entry or { failed = entry }
    entries[hit.entry] = entry
  end
  if not entry.failed then
    local is_done, said = pcall(renew, entry, hit, charged_at)
    if is_done then
      renewed[i + 1] = said and 1 or 0
    else
      entry.failed = said
    end
  end
end
for _, entry in pairs(entries) do
  if entry.is_rewound and entry.known and not entry.is_new then
    settle(entry, entry.known)
  end
  if not entry.failed then
    local is_stored, said = pcall(store, { entry })
    entry.failed = not is_stored and said or nil
  end
end
for i, hit in ipairs(hits) do
  local failed = entries[hit.entry].failed
  if failed then
    renewed[i + 1] = text_of(failed, hit.entry, hit.entry)
  end
end
return renewed
