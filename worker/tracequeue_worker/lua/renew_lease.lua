-- Makes entries fresh again, each only while it still belongs to us: a claim without looking would steal it back.
-- One that was deleted from the stream is left as it is: a claim would drop it from the pending list, as if it had
-- been settled, while we still have it in our hands.
-- KEYS: stream. ARGV: group, consumer, then entry ids. Returns how many were ours.
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local facts, wrong = facts_of(stream, group)
if not facts then return wrong end
if not facts.group then return 0 end

-- Reads nothing, for nobody has so late an id pending, but shows that we live (see claim.lua): before Redis 7.2 a read
-- that waits in vain does not. The very last id would mean the same as '>'.
redis.call('XREADGROUP', 'GROUP', group, consumer, 'STREAMS', stream, '18446744073709551615-0')
local renewed = 0
for position = 3, #ARGV do
  local id = ARGV[position]
  local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
  if pending.err then return pending end
  if pending[1] and pending[1][2] == consumer then
    if is_there(stream, facts, id) then redis.call('XCLAIM', stream, group, consumer, 0, id, 'JUSTID') end
    renewed = renewed + 1
  end
end
return renewed
