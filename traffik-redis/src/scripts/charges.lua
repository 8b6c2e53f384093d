-- Changes each charge separately, and returns the time and the answer to each. ARGV[2] has the numbers of each charge in
-- this format. A state that cannot be read or stored does not stop the others: the charges of its entry stay as they were,
-- and the answer to each of them is a list with the text of the error.
local function change_each(format, change)
  local at, entries, answers = 1, {}, { now }
  local hits = read_hits(ARGV[1], 0)
  for i, hit in ipairs(hits) do
    local numbers, entry = { from_bytes(format, ARGV[2], at) }, entries[hit.entry]
    at = numbers[#numbers]
    if not entry then
      local is_read
      is_read, entry = pcall(read_entry, KEYS[hit.entry], hit.strategy)
      entry = is_read and entry or { failed = entry }
      entries[hit.entry] = entry
    end
    if not entry.failed then
      local is_done, said = pcall(change, entry, hit, numbers)
      if is_done then
        answers[i + 1] = said
      else
        entry.failed = said
      end
    end
  end
  for _, entry in pairs(entries) do
    if not entry.failed then
      local is_stored, said = pcall(store, { entry })
      entry.failed = not is_stored and said or nil
    end
  end
  for i, hit in ipairs(hits) do
    local failed = entries[hit.entry].failed
    if failed then
      answers[i + 1] = { text_of(failed, hit.entry, hit.entry) }
    end
  end
  return answers
end
