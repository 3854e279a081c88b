-- What the keys do with a suggestion: accept it, or its next word or line; show another; dismiss it. Without a
-- suggestion, old_keys.lua runs a key's previous mapping.
local M = {}
local api, suggestions = vim.api, vim.lsp.inline_completion
local macros, old_keys = require 'tinycopilot.macros', require 'tinycopilot.old_keys'

--- Whether an item can be accepted in part. Items of other servers may lack a range or be snippets: Neovim handles
--- those.
local function is_plain(item) return item.range ~= nil and type(item.insert_text) == 'string' end

--- Returns the rest of `item` to insert at the cursor, and the part that was typed; nil if other text was typed, or if
--- nothing is left.
local function remainder(item)
  if not is_plain(item) then return nil end
  local row, column = item.range:to_extmark()
  local cursor = api.nvim_win_get_cursor(0)
  local here, at = cursor[1] - 1, cursor[2]
  if here < row or (here == row and at < column) then return nil end
  local known, lines = pcall(api.nvim_buf_get_text, 0, row, column, here, at, {})
  local typed = known and table.concat(lines, '\n')
  if not typed or typed == item.insert_text or not vim.startswith(item.insert_text, typed) then return nil end
  return item.insert_text:sub(#typed + 1), typed
end

--- Returns Neovim's private object for this buffer's suggestion. Without it, after a partial accept the rest of the
--- suggestion reappears only with the next result, and there are no alternatives.
local function neovims_completor()
  local known, capability = pcall(require, 'vim.lsp._capability')
  local kind = known and vim.tbl_get(capability, 'all', 'inline_completion')
  local own = kind and kind.active and kind.active[api.nvim_get_current_buf()]
  for _, method in ipairs { 'show', 'hide', 'handler' } do
    if not own or type(own[method]) ~= 'function' then return nil end
  end
  return own
end

--- Whether the visible suggestion can be accepted in part. (Trying would discard it.)
local function has_parts()
  local own = neovims_completor()
  return not (own and own.current) or is_plain(own.current)
end

--- Hides the suggestion in `buffer`, and drops a pending request.
function M.withdraw(buffer)
  local own = buffer == api.nvim_get_current_buf() and neovims_completor()
  if own and type(own.abort) == 'function' then own:abort() end
end

local function cursor_place() return { vim.b.changedtick, api.nvim_win_get_cursor(0) } end

local DELAY_MS = 10 -- delay after a key, so that keys that arrive together, as from a macro, cause only one request

--- Adapts Neovim's object for this buffer's suggestion, in three ways:
--- It hides a suggestion as soon as other text is typed (Neovim shows its rest until the next result). A dismissed
--- suggestion stays hidden until the text or the cursor changes.
--- It requests a suggestion at once; Neovim waits 200 ms. (The server itself waits for the `debounceMs` setting.)
--- It shows `+2 lines` after a suggestion of which the server hides lines (the `multiline` setting).
function M.adapt()
  local own = neovims_completor()
  if not own or own.tinycopilot_show then return end
  local function is_ours(client_id)
    local client = vim.lsp.get_client_by_id(client_id)
    return client ~= nil and client.name == 'tinycopilot'
  end

  own.tinycopilot_show = own.show
  function own:show(hint)
    local item = self.current
    local is_here = api.nvim_get_current_buf() == self.bufnr
    local is_unwanted = is_here and vim.deep_equal(self.tinycopilot_dismissed, cursor_place()) -- the result of an old request
    local is_other = item and is_here and is_plain(item) and is_ours(item.client_id) and not remainder(item)
    if is_unwanted or is_other then
      self.current = nil
      return self:hide()
    end
    local n = item and item.command and item.command.arguments and item.command.arguments[2]
    if type(n) == 'number' then hint = (' +%d line%s'):format(n, n > 1 and 's' or '') .. (hint or '') end
    return self:tinycopilot_show(hint)
  end

  own.tinycopilot_automatic_request = own.automatic_request
  function own:automatic_request()
    local is_possible = type(self.request) == 'function' and type(self.reset_timer) == 'function'
    if not is_possible or not self.client_state or not vim.iter(vim.tbl_keys(self.client_state)):all(is_ours) then
      return self:tinycopilot_automatic_request() -- other servers may rely on Neovim's delay
    end
    self:show()
    self:reset_timer()
    local kind = vim.lsp.protocol.InlineCompletionTriggerKind.Automatic
    self.timer = vim.defer_fn(function()
      if api.nvim_get_current_buf() == self.bufnr then self:request(kind) end
    end, DELAY_MS)
  end
end

local namespace = api.nvim_create_namespace('nvim.lsp.inline_completion')

--- Limits ghost text to the current window: Neovim would draw it in all windows of the buffer, and keep it (and send
--- requests) in a window that was left in insert mode. Also hides it after <C-c>, unlike Neovim.
function M.follow_window(group)
  local function is_typing() return api.nvim_get_mode().mode:sub(1, 1) == 'i' end
  api.nvim_create_autocmd({ 'InsertEnter', 'WinEnter' }, {
    group = group,
    callback = function()
      local draw_in = api.nvim__ns_set -- experimental: without it, ghost text is in all windows
      if draw_in then pcall(draw_in, namespace, { wins = { api.nvim_get_current_win() } }) end
    end,
  })
  api.nvim_create_autocmd('WinLeave', {
    group = group,
    callback = function(event)
      if is_typing() then M.withdraw(event.buf) end
    end,
  })
  api.nvim_create_autocmd('ModeChanged', {
    group = group,
    pattern = 'i*:n*',
    callback = function(event) M.withdraw(event.buf) end,
  })
end

--- Whether a suggestion is visible.
local function is_shown()
  local mark = api.nvim_buf_get_extmarks(0, namespace, 0, -1, { limit = 1, details = true })[1]
  return mark ~= nil and (mark[4].virt_lines ~= nil or vim.tbl_get(mark[4], 'virt_text', 1, 1) ~= '')
end

local OPENING = { ['('] = true, ['['] = true, ['{'] = true }

--- Pastes the rest of `item`, so that `.` repeats it, and returns nil. If it ends with a bracket that is mapped, as by
--- auto-pairs plugins, types that bracket. If Neovim has to insert the item, returns it instead.
local function insert(item)
  local rest = remainder(item)
  if not rest then return item end
  local _, _, end_row, end_column = item.range:to_extmark()
  local cursor = api.nvim_win_get_cursor(0)
  local here, at = cursor[1] - 1, cursor[2]
  if vim.fn.getcurpos()[4] > 0 then api.nvim_win_set_cursor(0, cursor) end -- 'virtualedit': back to the line's end
  if end_row > here or (end_row == here and end_column > at) then -- it replaces text after the cursor
    api.nvim_buf_set_text(0, here, at, end_row, end_column, {})
  end
  local last = rest:sub(-1)
  local is_typed = OPENING[last] and item.is_whole and vim.fn.maparg(last, 'i') ~= ''
  local text = is_typed and rest:sub(1, -2) or rest
  if text ~= '' then api.nvim_paste(text, false, -1) end
  macros.note(text, is_typed and last or '')
  if is_typed then api.nvim_feedkeys(last, 'im', false) end
  local client = item.command and vim.lsp.get_client_by_id(item.client_id)
  if client then client:exec_cmd(item.command, { bufnr = api.nvim_get_current_buf() }) end
end

--- Hides the suggestion, and inserts the item that `choose` returns for it. Returns false without a suggestion or item.
--- Neovim calls `on_accept` asynchronously; waiting for it keeps the order of the following keys.
local function accept(choose)
  local is_done, item = false, nil
  local function on_accept(suggestion)
    is_done, item = true, choose(suggestion)
    if not item then return nil end
    vim.go.undolevels = vim.go.undolevels -- a new change, so that undo removes only the suggestion
    return insert(item)
  end
  return suggestions.get { on_accept = on_accept } and vim.wait(100, function() return is_done end, 1) and item ~= nil
end

--- Returns the length in bytes of the next word of `rest`, or of the symbols before it, with leading white space.
function M.word_bytes(rest)
  local _, n = rest:find('^%s*[%w_\128-\255]+')
  if not n then _, n = rest:find('^%s*[^%w_%s\128-\255]+') end
  return n or #rest
end

--- Returns the length in bytes of the next line of `rest`, with leading white space and line ends.
function M.line_bytes(rest) return #rest:match('^%s*[^\n]*') end

--- Reports to the server, for its statistics, how many bytes of a suggestion are accepted so far.
local function report_partial_accept(item, accepted)
  local client = vim.lsp.get_client_by_id(item.client_id)
  if not client or not item.command then return end
  local text = item.whole or item.insert_text
  local until_here = text:sub(1, accepted)
  local length = vim.str_utfindex(until_here, client.offset_encoding, #until_here)
  if vim.bo.fileformat == 'dos' then length = length + select(2, until_here:gsub('\n', '')) end -- the server counts CR LF
  local sent = { insertText = text, command = item.command }
  client:notify('textDocument/didPartiallyAcceptCompletion', { item = sent, acceptedLength = length })
end

--- Inserts the first `count_bytes(rest)` bytes of the rest of the suggestion; what remains stays visible.
local function accept_part(count_bytes)
  local own, later = neovims_completor(), nil
  local accepted = accept(function(item)
    local rest, typed = remainder(item)
    if not rest then return nil end
    local n = count_bytes(rest)
    item.is_whole = n >= #rest
    if item.is_whole then return item end
    local before = item.accepted or 0 -- bytes of the original suggestion accepted so far
    item.whole = item.whole or item.insert_text
    report_partial_accept(item, before + #typed + n)
    later = vim.tbl_extend('force', item, { insert_text = rest:sub(n + 1), accepted = before + #typed + n })
    item.insert_text, item.command = typed .. rest:sub(1, n), nil -- the command reports a full accept
    return item
  end)
  if accepted and later and own then
    local cursor = api.nvim_win_get_cursor(0)
    later.range = vim.range.extmark(0, cursor[1] - 1, cursor[2], cursor[1] - 1, cursor[2])
    own.current = later
    own:show()
  end
  return accepted
end

local actions = {} -- each returns whether there was a suggestion

--- Whether an entry of the popup menu is selected; the keys then act on the menu.
local function is_menu_active() return vim.fn.complete_info({ 'selected' }).selected >= 0 end

function actions.accept()
  if is_menu_active() then return false end
  return accept(function(item)
    item.is_whole = true
    return (not is_plain(item) or remainder(item)) and item or nil
  end)
end

local function can_accept_part() return not is_menu_active() and is_shown() and has_parts() end

function actions.accept_word() return can_accept_part() and accept_part(M.word_bytes) end
function actions.accept_line() return can_accept_part() and accept_part(M.line_bytes) end

function actions.dismiss()
  if not is_shown() then return false end
  local own = neovims_completor()
  if own then own.tinycopilot_dismissed = cursor_place() end
  return suggestions.get { on_accept = function() end } -- accepted, but not inserted
end

--- Sends an explicit request for suggestions and alternatives at the cursor; shows the first, then calls `on_shown`.
local function invoke(own, client, on_shown)
  local here = cursor_place()
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding) ---@type table
  params.context = { triggerKind = vim.lsp.protocol.InlineCompletionTriggerKind.Invoked }
  client:request('textDocument/inlineCompletion', params, function(err, result, context)
    local items = result and (result.items or result) or {}
    if err or #items == 0 or not vim.deep_equal(here, cursor_place()) then return end
    own.tinycopilot_asked, own.tinycopilot_dismissed = here, nil
    own:handler(err, result, context)
    on_shown()
  end, own.bufnr)
end

--- Shows another suggestion. While typing, Neovim requests only one; alternatives need another request.
local function step(count)
  if not is_shown() then return false end
  local own = neovims_completor()
  local client = own and own.current and vim.lsp.get_client_by_id(own.current.client_id)
  local function select() suggestions.select { count = count } end
  if not client or vim.deep_equal(own.tinycopilot_asked, cursor_place()) then
    select()
  else
    invoke(own, client, select)
  end
  return true
end

--- Requests a suggestion now. Returns false if the server isn't attached.
function actions.suggest()
  local own, client = neovims_completor(), require('tinycopilot.state').clients(0)[1]
  if not own or not client then return false end
  if not is_shown() then invoke(own, client, function() end) end
  return true
end

function actions.next() return step(1) end
function actions.previous() return step(-1) end

--- Whether text may not be changed now, as in an `<expr>` mapping.
local function is_locked()
  local _, why = pcall(api.nvim_buf_set_text, 0, 1e9, 0, 1e9, 0, {}) -- the line does not exist: fails in any case
  return tostring(why):find 'E565' ~= nil
end

--- Runs an action from a user's mapping. While text is locked, the action is scheduled to run right afterwards.
function M.act(action)
  if not is_locked() or action == 'suggest' then return actions[action]() end
  if not is_shown() or is_menu_active() or action:find '^accept_' and not has_parts() then return false end
  vim.schedule(actions[action])
  return true
end

local function is_in_snippet()
  if vim.snippet and vim.snippet.active { direction = 1 } then return true end
  local luasnip = package.loaded.luasnip
  return type(luasnip) == 'table' and luasnip.locally_jumpable ~= nil and luasnip.locally_jumpable(1)
end

--- Whether `key` is <Tab> and has its normal meaning: in replace mode, in a snippet, and, unless `tab_on_blank` is
--- 'accept', where only blanks precede the cursor.
local function is_plain_tab(key)
  if vim.keycode(key) ~= '\t' then return false end
  if api.nvim_get_mode().mode:sub(1, 1) == 'R' or is_in_snippet() then return true end
  local tinycopilot = require 'tinycopilot'
  local before = api.nvim_get_current_line():sub(1, api.nvim_win_get_cursor(0)[2])
  if tinycopilot.options.tab_on_blank == 'accept' or before:find '%S' then return false end
  local other = tinycopilot.options.keymaps.accept_line
  if is_shown() and other then
    tinycopilot.tell(('%s indents here; %s accepts (`tab_on_blank`)'):format(key, other))
  end
  return true
end

--- Maps the keys in a buffer, unless they are mapped already; `keymaps` as in setup's options.
function M.set(buffer, keymaps)
  for action, key in pairs(keymaps) do
    local desc = ('tinycopilot: %s suggestion'):format(action)
    local own = key and old_keys.find(api.nvim_buf_get_keymap(buffer, 'i'), key)
    if key and not (own and own.desc == desc) then
      vim.keymap.set('i', key, function()
        if is_plain_tab(key) or not actions[action]() then old_keys.type(action, key, own and vim.deepcopy(own)) end
      end, { buffer = buffer, desc = desc })
    end
  end
end

return M
