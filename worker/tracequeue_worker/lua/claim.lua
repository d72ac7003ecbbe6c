-- XAUTOCLAIM. What it drops from the pending list because it was deleted from the stream is remembered as lost.
-- KEYS: stream, its tally (see look.lua). ARGV: group, consumer, least idle milliseconds, cursor, count.
local stream, tally, group, consumer, idle, cursor, count = KEYS[1], KEYS[2], unpack(ARGV)
local reply = redis.pcall('XAUTOCLAIM', stream, group, consumer, idle, cursor, 'COUNT', count)
if reply.err then return reply end
local dropped = #(reply[3] or {})
if dropped > 0 then redis.call('HINCRBY', tally, 'lost:' .. group, dropped) end
return reply
