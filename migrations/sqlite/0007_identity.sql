-- Which account said what: a history belongs to the account as well as to the bot's name.

-- The server that has the account, where ids mean something on their own server only.
alter table account add column server text;
-- What is equal for equal accounts. Of an account on Mastodon's kin whose server was not written down, the domain of
-- its handle stands in for it, after an `@`, until its bot is heard of again.
alter table account add column key text;
-- In which order bots came to their accounts, and in which round each was then.
alter table account add column came integer not null default 0;
alter table account add column came_in_round integer not null default 1;

update account set key = case network
    when 'mastodon' then 'mastodon:@'
        || iif(instr(handle, '@') > 0, lower(substr(handle, instr(handle, '@') + 1)), '') || '/' || id
    else network || ':' || id
end;

-- The bot that posted first came first.
with placed as (
    select account.bot, row_number() over (order by
        coalesce((select min(number) from post
            where post.bot = account.bot and post.network = account.network and sent_at is not null),
            9223372036854775807),
        coalesce((select signed_in_at from credential where credential.bot = account.bot), 9223372036854775807),
        account.bot) as place
    from account
)
update account set came = (select place from placed where placed.bot = account.bot);

create index account_key on account (key);

-- The account under which a post was sent last; null if it never was, or if nobody knows.
alter table post add column account text;
update post set account = (select key from account where account.bot = post.bot and account.network = post.network)
where sent_at is not null;

-- What an account has said under other names is found by the names, a few at most, and then by the newest round.
create index post_account on post (account, bot, round) where account is not null and line is not null;
