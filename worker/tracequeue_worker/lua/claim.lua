-- Takes over a page of entries that were pending for too long. One that was deleted from the stream is forgotten, and
-- remembered as lost, if its consumer is silent too: one that lives has it in its hands. XAUTOCLAIM would drop it.
-- KEYS: stream, its tally (see look.lua). ARGV: group, consumer, least idle milliseconds, the id to begin at, count.
-- Returns the id to go on from or '', the entries, and how many are lost.
local stream, tally, group, consumer = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local idle, start, count = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])

local facts, wrong = facts_of(stream, group)
if not facts then return wrong end
local page = redis.pcall('XPENDING', stream, group, 'IDLE', idle, start, '+', count)
if page.err then return page end

local silent
local function is_silent(name)
  if not silent then
    silent = {}
    for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
      local facts = named(flat)
      silent[facts.name] = facts.idle >= idle
    end
  end
  return silent[name]
end

local entries, lost = {}, {}
for _, pending in ipairs(page) do
  local id, owner = pending[1], pending[2]
  if is_there(stream, facts, id) then
    entries[#entries + 1] = redis.call('XCLAIM', stream, group, consumer, idle, id)[1]
  elseif is_silent(owner) then
    lost[#lost + 1] = id
  end
end
if #lost > 0 then
  redis.call('XACK', stream, group, unpack(lost))
  redis.call('HINCRBY', tally, 'lost:' .. group, #lost)
end
return {#page == count and '(' .. page[#page][1] or '', entries, #lost}
