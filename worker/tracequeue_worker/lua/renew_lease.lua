-- Makes entries fresh again, each only while it still belongs to us: a claim without looking would steal it back.
-- KEYS: stream. ARGV: group, consumer, then entry ids. Returns how many were ours.
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local renewed = 0
for position = 3, #ARGV do
  local id = ARGV[position]
  local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
  if pending.err then
    if string.find(pending.err, 'NOGROUP', 1, true) then return renewed end
    return pending
  end
  if pending[1] and pending[1][2] == consumer then
    redis.call('XCLAIM', stream, group, consumer, 0, id, 'JUSTID')
    renewed = renewed + 1
  end
end
return renewed
