-- Trims entries that every group of a stream has settled and that are old enough, decided and done in one step: no
-- group can be created and no entry be claimed in between.
-- KEYS: stream, its tally (see look.lua). ARGV: our own group, seconds to keep or -1 to trim nothing, the most to trim.
-- Returns how many were trimmed, then, where another group holds back what ours has settled: its name and the id of
-- the first entry that is kept for it. Without our own group nothing is trimmed: it will begin at the beginning.
local stream, tally, own, keep, most = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function following(id)
  local time, number = string.match(id, '^(%d+)%-(%d+)$')
  if #number > 15 then return id end
  return time .. '-' .. string.format('%.0f', tonumber(number) + 1)
end

-- The first id that a group has not settled; or nil and the error.
local function unsettled(group)
  if group.pending == 0 then return following(group['last-delivered-id']) end
  local summary = redis.pcall('XPENDING', stream, group.name)
  if summary.err then return nil, summary end
  return summary[2] or following(group['last-delivered-id'])
end

local groups, wrong = groups_of(stream)
if not groups then return wrong end
local boundary, holder, ours
for _, group in ipairs(groups) do
  local id
  id, wrong = unsettled(group)
  if not id then return wrong end
  if group.name == own then ours = id end
  if not boundary or before(id, boundary) then boundary, holder = id, group.name end
end
if not ours then return {0} end

local trimmed = 0
if keep >= 0 then
  local seconds = tonumber(redis.call('TIME')[1])
  local oldest_kept = string.format('%.0f-0', math.max(0, seconds - keep) * 1000)
  local upto = keep > 0 and before(oldest_kept, boundary) and oldest_kept or boundary
  trimmed = redis.call('XTRIM', stream, 'MINID', '~', upto, 'LIMIT', most)
  if trimmed == 0 then trimmed = redis.call('XTRIM', stream, 'MINID', upto) end -- less than one node of entries
end
if trimmed > 0 then
  for _, group in ipairs(groups) do redis.call('HINCRBY', tally, 'removed:' .. group.name, trimmed) end
end
if not before(boundary, ours) then return {trimmed} end
local held = redis.call('XRANGE', stream, boundary, '(' .. ours, 'COUNT', 1)
if #held == 0 then return {trimmed} end
return {trimmed, holder, held[1][1]}
