-- How many entries a group has not read. The server's `lag` is right only while nothing was ever removed from the
-- stream; after that the figure is what is neither settled, nor pending, nor lost.
-- KEYS: stream, its tally (see look.lua). ARGV: group. Returns the number, or -1 where only counting can tell.
local stream, tally, group = KEYS[1], KEYS[2], ARGV[1]
local facts, wrong = facts_of(stream, group)
if not facts then return wrong end
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
if facts.added == facts.length then
  for _, one in ipairs(groups_of(stream) or {}) do
    if one.name == group and one.lag then return one.lag end
  end
end
return -1
