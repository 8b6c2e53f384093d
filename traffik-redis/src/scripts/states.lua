-- Returns the time and the stored value of each key, for strategies without a Lua form.
local answer = { now }
for i, key in ipairs(KEYS) do
  local stored = redis.pcall('GET', key)
  if type(stored) == 'table' then
    -- Only an error is a table.
    if string.find(stored.err, 'WRONGTYPE', 1, true) then
      return redis.error_reply('traffik: the key ' .. key .. ' holds what is not a state (' .. stored.err .. '): delete the key')
    end
    return stored
  end
  answer[i + 1] = stored
end
return answer
