-- The rule of `budget.py`, kept in Redis for many processes. The names are the same, and a test holds both side by side.
--
-- KEYS: every key that is touched, of one app and so of one hash slot.
-- ARGV[1], JSON: `base` the keys' prefix, `nonce` a word that is never repeated, `quota` and `app_quota` where they are
-- known, `reports` of calls that were made, then `asks` for calls to make, and `now` in tests. A call without `waba` is
-- on what is no WABA: only the app's budget counts for it.
-- Answer: the epoch, then for each ask "go", or the seconds after which to ask again.
--
-- A budget is a hash; `:log` has the calls that were answered by the time of their answers, and `:leases` those in
-- flight by the time at which they were let go. The epoch is new where Redis had forgotten everything.

local KEPT_SECONDS = 3660
local SURE_SECONDS = 3540
local LAG_SECONDS = 60
local BURST_LAG_SECONDS = 10
local STALE_SECONDS = 60
local SHARED_FRACTION = 0.97
local DISPROOF = 1.05
local DISPROOF_OF_BURST = 4
local PROBE_SECONDS = 60
local PROBE_OTHERS_SECONDS = 300
local PROBE_BLIND_SECONDS = 10
local PROBE_AGAIN_SECONDS = 3600
local SOON_SECONDS = 1
local HOLD_SECONDS = 60
local HOLD_DOUBLINGS = 5
local SILENT_ANSWERS = 100
local ROOM_PERCENT = 90
local FULL_PERCENT = 100
local COARSEST_STEP = 10

local LEASE_SECONDS = 300 -- after which a call that nobody reported counts as answered
local FORGET_SECONDS = 86400
local LONGEST_TTL = 30 * 86400

local INFINITY = math.huge
local WABA_QUOTAS = { 200, 5000 }
local APP_QUOTAS = { 200 }

local request = cjson.decode(ARGV[1])
local now = request.now
if not now then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1e6
end

local function text(number)
  return string.format('%.17g', number)
end

-- What is kept of a budget, and what it is when there is nothing; `percent` may be missing for good.
local FIELDS = {
  abreast = 1, last_sent = -INFINITY, proven = 0, others = 0, silent = 0, step = 0, read_at = -INFINITY,
  read_sent = -INFINITY, held_until = -INFINITY, held_from = -INFINITY, told_until = -INFINITY, holds = 0, percent = false,
}

---- the log: when our calls were answered ----

local function nth(budget, index)
  return tonumber(redis.call('ZRANGE', budget.log, index, index, 'WITHSCORES')[2])
end

local function add(budget, at, lease)
  budget.size = budget.size + redis.call('ZADD', budget.log, text(at), lease)
end

local function drop(budget, till)
  if budget.size > 0 then
    budget.size = budget.size - redis.call('ZREMRANGEBYSCORE', budget.log, '-inf', text(till))
  end
end

local function count(budget, after, before)
  return redis.call('ZCOUNT', budget.log, '(' .. text(after), '(' .. text(before))
end

---- the calls in flight ----

local function land(budget, lease)
  budget.in_flight = budget.in_flight - redis.call('ZREM', budget.leases, lease)
end

local function expire_leases(budget)
  local overdue = redis.call('ZRANGEBYSCORE', budget.leases, '-inf', text(now - LEASE_SECONDS), 'WITHSCORES')
  for i = 1, #overdue, 2 do
    land(budget, overdue[i])
    add(budget, overdue[i + 1] + LEASE_SECONDS, overdue[i])
  end
end

---- a budget ----

local function quota_of(budget)
  if budget.fixed then return budget.fixed end
  if not budget.certain and budget.proven == 0 then return INFINITY end
  for _, quota in ipairs(budget.quotas) do
    if budget.proven <= quota * DISPROOF then return quota, quota * DISPROOF end
  end
  return budget.proven
end

-- The quota, what has to be proven to change it, and own calls that may be used when one more is asked for.
local function set_quota(budget)
  local quota, news = quota_of(budget)
  budget.quota = quota
  budget.news = budget.fixed and INFINITY or news or budget.proven
end

local function most(budget)
  return budget.quota * (budget.others > 0 and SHARED_FRACTION or 1) - budget.others - 1
end

local function load(name, quotas, fixed, certain)
  local key = request.base .. name
  local budget = {
    key = key, log = key .. ':log', leases = key .. ':leases', was = {}, quotas = quotas, fixed = fixed, certain = certain,
  }
  for field, default in pairs(FIELDS) do budget[field] = default end
  if not certain then budget.abreast = INFINITY end
  local saved = redis.call('HGETALL', key)
  budget.exists = #saved > 0
  for i = 1, #saved, 2 do budget[saved[i]] = tonumber(saved[i + 1]) end
  for field in pairs(FIELDS) do budget.was[field] = budget[field] end
  budget.size = redis.call('ZCARD', budget.log)
  budget.in_flight = redis.call('ZCARD', budget.leases)
  if budget.in_flight > 0 then expire_leases(budget) end
  set_quota(budget)
  return budget
end

local function save(budget)
  local changed = {}
  for field, was in pairs(budget.was) do
    if budget[field] ~= was then
      changed[#changed + 1] = field
      changed[#changed + 1] = text(budget[field])
    end
  end
  if #changed > 0 then redis.call('HSET', budget.key, unpack(changed)) end
  local ttl = math.min(FORGET_SECONDS + math.max(0, math.ceil(budget.held_until - now)), LONGEST_TTL)
  redis.call('EXPIRE', budget.key, text(ttl))
  redis.call('EXPIRE', budget.log, KEPT_SECONDS)
  redis.call('EXPIRE', budget.leases, LEASE_SECONDS + KEPT_SECONDS)
end

---- calibration ----

local function sure(budget, at, before)
  return count(budget, at - SURE_SECONDS, before) + 1
end

-- By how much a percentage is wrong, and at most.
local function errors_of(budget)
  local step = budget.step
  local most_error = math.min(step > 0 and step or COARSEST_STEP, COARSEST_STEP)
  return (step > 0 and step <= COARSEST_STEP) and step or 1, most_error
end

local function shown(budget, percent, calls)
  local _, most_error = errors_of(budget)
  return 100 * calls / (percent + most_error)
end

local function prove(budget, quota)
  if quota > budget.proven then
    budget.proven = quota
    set_quota(budget)
  end
end

local function set_step(budget, percent)
  if percent ~= math.floor(percent) then
    budget.step = 1
    return
  end
  local one, other = budget.step, percent
  while other > 0 do one, other = other, math.fmod(one, other) end
  budget.step = one
end

local function set_others(budget, at, percent, sent)
  local error = errors_of(budget)
  local surely = sure(budget, at, math.min(sent, at - LAG_SECONDS))
  local mine = budget.others > 0 and surely or budget.size + budget.in_flight
  budget.others = 0
  if budget.quota < INFINITY and (percent - error) * budget.quota > 100 * mine then
    local at_most = (percent + math.max(1, error / 2)) * budget.quota / 100
    budget.others = math.max(0, math.ceil(at_most) - 1 - surely)
  end
end

local function learn(budget, at, percent, sent)
  if budget.step ~= 1 then set_step(budget, percent) end
  local in_order = sent > budget.read_sent or (sent == budget.read_sent and percent >= (budget.percent or 0))
  if in_order then budget.percent, budget.read_at, budget.read_sent = percent, at, sent end
  local error, most_error = errors_of(budget)
  local calls = budget.size
  if 100 * calls > budget.news * (percent + most_error) then
    prove(budget, shown(budget, percent, sure(budget, at, math.min(sent, at - LAG_SECONDS))))
    local before = percent > 0 and sent or math.min(sent, at - BURST_LAG_SECONDS)
    local burst = shown(budget, percent, sure(budget, at, before))
    if burst > DISPROOF_OF_BURST * budget.quota then prove(budget, burst) end
  end
  local seem = (percent - error) * budget.quota > 100 * (calls + budget.in_flight)
  if in_order and (budget.others > 0 or seem) then set_others(budget, at, percent, sent) end
end

local function learn_from_success(budget, at, sent)
  if budget.others > 0 and at > budget.read_at + KEPT_SECONDS then budget.others = 0 end
  if budget.silent >= SILENT_ANSWERS and budget.size > budget.quota then prove(budget, DISPROOF * sure(budget, at, sent)) end
end

---- being told ----

local function hold(budget, at, seconds)
  budget.held_from = math.max(budget.held_from, at)
  budget.held_until = math.max(budget.held_until, at + seconds)
  budget.abreast = 1
end

local function counted(budget, call, reading)
  land(budget, call.lease)
  add(budget, call.at, call.lease)
  if reading and reading.calls then
    budget.silent = 0
    learn(budget, call.at, reading.calls, call.sent)
  end
end

local function answered(budget, call, reading)
  local is_new = call.sent > budget.held_from
  if is_new then
    budget.holds = 0
    budget.abreast = budget.abreast + 1
  end
  counted(budget, call, reading)
  if not (reading and reading.calls) then
    budget.silent = budget.silent + 1
    learn_from_success(budget, call.at, call.sent)
  elseif is_new then
    budget.abreast = INFINITY
  end
  if reading and reading.load >= FULL_PERCENT then hold(budget, call.at, math.max(HOLD_SECONDS, reading.regain)) end
end

local function refused(budget, call, reading, seconds)
  local regain = reading and reading.regain or 0
  local told = math.max(seconds or 0, regain)
  if call.sent > budget.held_from then
    local is_told = seconds or regain > 0
    hold(budget, call.at, is_told and told or HOLD_SECONDS * 2 ^ budget.holds)
    budget.holds = math.min(budget.holds + 1, HOLD_DOUBLINGS)
  end
  budget.held_until = math.max(budget.held_until, call.at + told)
  if told > 0 then budget.told_until = budget.held_until end
  if reading and reading.calls then budget.proven, budget.news = 0, 0 end
  counted(budget, call, reading)
end

local function refused_elsewhere(budget, call, reading)
  counted(budget, call, reading)
  if reading and math.max(reading.calls or 0, reading.load) >= FULL_PERCENT and reading.regain > 0 then
    hold(budget, call.at, reading.regain)
  end
end

---- asking ----

local function hints_at_much_more(budget)
  local calls = count(budget, budget.read_at - SURE_SECONDS, INFINITY)
  return shown(budget, budget.percent or 0, calls) > DISPROOF_OF_BURST * budget.quota
end

local function hints_at_more(budget)
  local surely = shown(budget, budget.percent or 0, sure(budget, budget.read_at, budget.read_sent))
  return surely > DISPROOF * budget.quota or hints_at_much_more(budget)
end

-- Whether the server itself said when to ask again; not when it said so again and again.
local function is_told(budget)
  local held_until = budget.held_until
  return budget.told_until >= held_until and held_until > budget.last_sent and budget.holds < HOLD_DOUBLINGS
end

local function next_probe(budget)
  if is_told(budget) then return budget.told_until end
  if budget.others > 0 then
    local room = (budget.percent or 0) <= ROOM_PERCENT
    return budget.last_sent + (room and PROBE_SECONDS or PROBE_OTHERS_SECONDS)
  end
  if budget.fixed then return INFINITY end
  if budget.silent >= SILENT_ANSWERS then
    return math.max(budget.last_sent + PROBE_BLIND_SECONDS, budget.held_from + PROBE_AGAIN_SECONDS)
  end
  if hints_at_more(budget) then
    local wait = hints_at_much_more(budget) and BURST_LAG_SECONDS or PROBE_SECONDS
    return math.max(budget.last_sent + PROBE_BLIND_SECONDS, budget.read_at + wait)
  end
  return INFINITY
end

local function when_full(budget, used)
  local probe_at = next_probe(budget)
  if budget.in_flight > 0 and probe_at < INFINITY then return now + SOON_SECONDS end
  if probe_at <= now then return now end
  local expiries = math.ceil(used - most(budget))
  local free_at = expiries <= budget.size and nth(budget, expiries - 1) or now
  return math.min(probe_at, free_at + KEPT_SECONDS)
end

local function peek(budget, ahead)
  if now < budget.held_until then return budget.held_until end
  drop(budget, now - KEPT_SECONDS)
  if budget.in_flight >= budget.abreast then return now + SOON_SECONDS end
  local used = budget.size + budget.in_flight + ahead
  if used > most(budget) then return when_full(budget, used) end
  if budget.others > 0 and budget.in_flight > 0 and now > budget.read_at + STALE_SECONDS then return now + SOON_SECONDS end
  return now
end

local function take(budget, lease)
  redis.call('ZADD', budget.leases, text(now), lease)
  budget.in_flight = budget.in_flight + 1
  budget.last_sent = now
end

---- the book: each call is charged to its WABA, to the app, and to its token if that was ever refused ----

local budgets = {}

local function book(name, quotas, fixed, certain)
  budgets[name] = budgets[name] or load(name, quotas, fixed, certain)
  return budgets[name]
end

-- A budget without a limit, which a refusal can hold all the same.
local function holds_only(name)
  return book(name, {}, INFINITY, false)
end

local function waba_of(call)
  if not call.waba then return holds_only('unassigned') end
  return book('waba:' .. call.waba, WABA_QUOTAS, request.quota, true)
end

local function charged(call, is_token_held)
  local token = holds_only('token:' .. call.token)
  token.exists = token.exists or is_token_held
  return {
    waba = waba_of(call),
    app = book('app', APP_QUOTAS, request.app_quota, false),
    token = token.exists and token or nil,
  }
end

local epoch = redis.call('GET', request.base .. 'epoch')
if not epoch then
  epoch = request.nonce
  redis.call('SET', request.base .. 'epoch', epoch)
end
redis.call('EXPIRE', request.base .. 'epoch', LONGEST_TTL)

-- A call that was counted before, in a trip whose answer was lost, or as its lease expired; or one that was given back.
local function is_told_again(call, waba)
  local is_gone = call.epoch == epoch and not redis.call('ZSCORE', waba.leases, call.lease)
  return is_gone or redis.call('ZSCORE', waba.log, call.lease)
end

local function report(call)
  local all = charged(call, call.result == 'throttled' and call.scope == 'token')
  if is_told_again(call, all.waba) then return end
  call.at = now - call.age
  call.sent = tonumber(redis.call('ZSCORE', all.waba.leases, call.lease) or now - call.sent_age)
  for _, scope in ipairs({ 'waba', 'app', 'token' }) do
    local budget, reading = all[scope], call[scope .. '_reading']
    if not budget then
      -- Nothing was ever said of this token.
    elseif call.result == 'unsent' then
      land(budget, call.lease)
    elseif call.result == 'lost' then
      counted(budget, call)
    elseif call.result == 'accepted' then
      local is_of_another = scope == 'waba' and not call.waba
      answered(budget, call, not is_of_another and reading or nil)
    elseif call.scope == scope then
      refused(budget, call, reading, call.retry_after)
    else
      refused_elsewhere(budget, call, reading)
    end
  end
end

local denied = {} -- by the WABA's budget: calls of this trip that now wait before those that come after them

local function ask(call)
  local all = charged(call, false)
  local ahead = call.ahead and call.ahead + (denied[all.waba] or 0) or 0
  local when = now
  for _, budget in pairs(all) do when = math.max(when, peek(budget, budget == all.token and 0 or ahead)) end
  if when <= now and ahead == 0 then
    for _, budget in pairs(all) do take(budget, call.lease) end
    return 'go'
  end
  if call.ahead then denied[all.waba] = (denied[all.waba] or 0) + 1 end
  return text(when - now)
end

local answer = { epoch }
for _, call in ipairs(request.reports) do report(call) end
for _, call in ipairs(request.asks) do answer[#answer + 1] = ask(call) end
for name, budget in pairs(budgets) do
  if budget.exists or name:sub(1, 6) ~= 'token:' then save(budget) end
end
return answer
