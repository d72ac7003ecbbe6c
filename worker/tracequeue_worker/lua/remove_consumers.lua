-- Removes consumers with nothing pending: looked at and deleted in one step, because deleting a consumer throws its
-- pending entries away.
-- KEYS: stream. ARGV: group, least idle milliseconds, a name to spare or '', the only name to remove or ''.
-- Returns the names removed.
local stream, group, least_idle, spared, only = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
if consumers.err then
  if string.find(consumers.err, 'NOGROUP', 1, true) or string.find(consumers.err, 'no such key', 1, true) then
    return {}
  end
  return consumers
end
local removed = {}
for _, facts in ipairs(consumers) do
  local consumer = {}
  for position = 1, #facts, 2 do consumer[facts[position]] = facts[position + 1] end
  local wanted = consumer.name ~= spared and (only == '' or consumer.name == only)
  if wanted and consumer.pending == 0 and consumer.idle >= least_idle then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer.name)
    removed[#removed + 1] = consumer.name
  end
end
return removed
