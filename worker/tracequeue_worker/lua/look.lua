-- Looks whether entries of a stream were lost before the group read them. Every entry ever added must be settled,
-- pending, or unread and still there: what is missing was deleted by others. The settled are counted where they are
-- settled, and the removed where we trim; `entries-read` and `lag` of the server are no help: they jump when a read
-- goes over a gap. What is remembered lies beside the stream, in its tally, so that of several workers one counts a
-- loss; what a worker knows itself is for a server that lost the tally too.
-- KEYS: stream, its tally: a hash whose fields end in the group's name.
-- ARGV: group, a name for a new epoch, the epoch that the worker knows or '', how many entries had been added then, how
-- many of them were unread and not read by this worker since, how many entries may be counted.
-- Returns nothing where the server cannot tell (before Redis 7.0), else epoch, added, unread, then reason and number of
-- each loss.
local stream, tally, group, token = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local known = {epoch = ARGV[3], added = tonumber(ARGV[4]), unread = tonumber(ARGV[5])}
local most = tonumber(ARGV[6])

local facts, wrong = facts_of(stream, group)
if not facts then return wrong end
if not facts.added then return {} end
local names = {'epoch', 'added', 'delivered', 'removed', 'settled', 'lost', 'unread', 'rebase'}
local fields, seen = {}, {}
for position, name in ipairs(names) do fields[position] = name .. ':' .. group end
for position, value in ipairs(redis.call('HMGET', tally, unpack(fields))) do
  seen[names[position]] = value or nil
end
local removed = facts.added - facts.length
local now = {
  epoch = seen.epoch, added = facts.added, delivered = facts.delivered, removed = removed,
  settled = tonumber(seen.settled or 0), lost = tonumber(seen.lost or 0), rebase = tonumber(seen.rebase or 0)
}
local losses = {}

local function lose(reason, number)
  if number <= 0 then return end
  losses[#losses + 1] = reason
  losses[#losses + 1] = number
end

-- A stream that has fewer entries behind it than before is another one, or an older copy of it. Who first sees that
-- begins a new epoch; the others, who know the old one, count nothing.
if not seen.epoch then
  now.epoch = token
  if known.epoch ~= '' then
    lose('vanished', known.unread)
  elseif facts.delivered ~= '0-0' or redis.call('EXISTS', tally) == 1 then
    now.rebase = 1
  end
elseif facts.added < tonumber(seen.added) then
  lose('vanished', known.epoch == seen.epoch and known.unread or tonumber(seen.unread))
  now.epoch, now.rebase = token, 1
elseif known.epoch == seen.epoch and facts.added < known.added then
  lose('went_back', math.min(known.added - facts.added, known.unread))
  now.epoch = token
end
if seen.delivered and before(facts.delivered, seen.delivered) then now.rebase = 1 end

local function only_read_ones_removed()
  local delivered = seen.delivered or '0-0'
  return not before(delivered, facts.first) and not before(delivered, facts.deleted)
end

-- From the side that was read lately, else from the side that is unread.
local function counted_unread()
  local read = count_between(stream, facts.first, facts.delivered, most)
  if read then return facts.length - read end
  return count_between(stream, '(' .. facts.delivered, '+', most)
end

local unread = unread_at_a_glance(facts)
if not unread then
  local suspicious = removed ~= tonumber(seen.removed or 0) and not (seen.epoch and only_read_ones_removed())
  if now.rebase == 1 or suspicious then
    unread = counted_unread()
    if not unread then -- too much to count: as if it had not been looked at, until less is unread
      now.removed, now.delivered = tonumber(seen.removed or removed), seen.delivered or facts.delivered
    end
  end
end
if unread then
  local missing = facts.added - now.settled - facts.pending - unread - now.lost
  if now.rebase == 1 or missing < 0 then
    now.settled, now.rebase = now.settled + missing, 0
  else
    lose('unread', missing)
    now.lost = now.lost + missing
  end
end
now.unread = unread or facts.added - now.settled - facts.pending - now.lost

local changed = {}
for name, value in pairs(now) do
  local text = type(value) == 'number' and string.format('%.0f', value) or value
  if text ~= seen[name] then
    changed[#changed + 1] = name .. ':' .. group
    changed[#changed + 1] = text
  end
end
if #changed > 0 then
  redis.pcall('XTRIM', stream, 'MINID', '0-0') -- removes nothing; after it a script may write although memory is full
  redis.call('HSET', tally, unpack(changed))
end
return {now.epoch, now.added, now.unread, unpack(losses)}
