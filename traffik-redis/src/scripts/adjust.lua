-- Replaces charged costs by actual ones, each separately. If a state cannot be read, replaces none. ARGV[2] has the
-- time, the charged cost and the actual cost of each charge. The answer to each is the stored state, or the number of
-- an error.
local function adjust()
  local at, entries, adjusted = 1, {}, { now }
  local hits = read_hits(ARGV[1], 0)
  for i, hit in ipairs(hits) do
    local entry, charged_at, charged, actual = entries[hit.entry], nil, nil, nil
    charged_at, charged, actual, at = struct.unpack('<I7I7I7', ARGV[2], at)
    if not entry then
      entry = read_entry(KEYS[hit.entry], hit.strategy)
      entries[hit.entry] = entry
    end
    local settled, failed
    if actual > charged or (actual < charged and entry.known) then
      -- The additional charge.
      hit.cost = actual - charged
      settled, failed = hit.strategy.settle(entry.known, hit, charged, actual, charged_at)
    end
    if settled then
      settle(entry, settled)
      entry.known = settled.expires > now and settled or nil
    elseif entry.is_rewound and entry.known and not failed then
      settle(entry, entry.known)
    end
    if settled or not failed then
      local packed = entry.known and (hit.strategy.show and hit.strategy.show(entry.known, hit, actual) or entry.packed)
      adjusted[i + 1] = packed or ''
    else
      adjusted[i + 1] = failed
    end
  end
  store(entries)
  return adjusted
end

local is_done, adjusted = pcall(adjust)
return is_done and adjusted or redis.error_reply(text_of(adjusted, 1, #KEYS))
