-- What of a stream a group has not settled, in one look: between two, an entry that is read is neither unread nor pending.
-- KEYS: stream, its tally (see look.lua). ARGV: group.
-- Returns how many entries are unread (-1 where only counting can tell), how many pending, the last id that was read, and
-- how many consumers there are.
local stream, tally, group = KEYS[1], KEYS[2], ARGV[1]

-- The server's `lag` is right only while nothing was ever removed from the stream; after that the figure is what is
-- neither settled, nor pending, nor lost.
local function unread_of(facts)
  local unread = unread_at_a_glance(facts)
  if unread then return unread end
  if not facts.added then return -1 end
  local fields = {}
  for position, name in ipairs({'removed', 'settled', 'lost', 'delivered', 'rebase'}) do fields[position] = name .. ':' .. group end
  local removed, settled, lost, delivered, rebase = unpack(redis.call('HMGET', tally, unpack(fields)))
  local looked_at = delivered and rebase ~= '1' and not before(facts.delivered, delivered)
  if looked_at and tonumber(removed) == facts.added - facts.length then
    return facts.added - tonumber(settled or 0) - facts.pending - tonumber(lost)
  end
  if facts.added == facts.length and facts.lag then return facts.lag end
  return -1
end

local facts, wrong = facts_of(stream, group)
if not facts then return wrong end
return {unread_of(facts), facts.pending, facts.delivered, facts.consumers}
