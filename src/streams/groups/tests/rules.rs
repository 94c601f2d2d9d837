//! The rules, one story each.

use super::script::check;

#[test]
fn members_that_start_together_are_one_generation() {
    check(
        "
        a join range:m1 rr:m2
        b join rr:m4 range:m3
        tick 499
        tick 1
        c join range:m5
        tick 500
        tick 500
        > a is #1 in 1 range, #1 leads #1:m1 #2:m3 #3:m5
        > b is #2 in 1 range, #1 leads
        > c is #3 in 1 range, #1 leads
        a sync a:x b:y c:z
        > a reads x
        c sync
        > c reads z
        b sync
        > b reads y
        a beat
        > a alive
        b commit t-0=5
        > b committed: ok
        ",
    );
}

#[test]
fn a_client_comes_back_with_the_id_it_was_given() {
    check(
        "
        a join known range:m1
        > a join again as #1
        a join known range:m1
        tick 500
        > a is #1 in 1 range, #1 leads #1:m1
        a sync a:x
        > a reads x
        b join known range:m2
        > b join again as #3
        a join range:m1
        tick 9999
        tick 1
        > a is #1 in 2 range, #1 leads #1:m1
        b join range:m2
        > b the group has no such member
        ",
    );
}

#[test]
fn a_group_that_rebalances_tells_who_asks() {
    check(
        "
        a join range:m1
        tick 500
        > a is #1 in 1 range, #1 leads #1:m1
        a sync a:x
        > a reads x
        b join range:m2
        a beat
        > a the group rebalances: join again
        a commit t-0=1
        > a committed: ok
        a sync a:x
        > a the group rebalances: join again
        a join range:m1
        > a is #1 in 2 range, #1 leads #1:m1 #2:m2
        > b is #2 in 2 range, #1 leads
        a commit t-0=2
        > a the group rebalances: join again
        a sync a:x b:y
        > a reads x
        a commit t-0=2
        > a committed: ok
        b join range:m2
        > b is #2 in 2 range, #1 leads
        b sync
        > b reads y
        b leave
        > b left: ok
        a beat
        > a the group rebalances: join again
        a join range:m1
        > a is #1 in 3 range, #1 leads #1:m1
        a sync a:z
        > a reads z
        a generation=2 sync
        > a generation 2 is not 3
        ",
    );
}

#[test]
fn who_falls_silent_is_dropped_and_the_rest_goes_on() {
    check(
        "
        a join range:m1 rebalance=20000
        b join range:m2 rebalance=20000
        tick 500
        tick 500
        > a is #1 in 1 range, #1 leads #1:m1 #2:m2
        > b is #2 in 1 range, #1 leads
        a sync a:x b:y
        > a reads x
        tick 6000
        b sync
        > b reads y
        b beat
        > b alive
        tick 4000
        b beat
        > b the group rebalances: join again
        tick 1
        b join range:m2
        > b is #2 in 2 range, #2 leads #2:m2
        b sync b:all
        > b reads all
        tick 10001
        list
        > g classic consumer Empty
        ",
    );
}

#[test]
fn who_does_not_join_again_is_dropped_when_the_time_is_over() {
    check(
        "
        a join range:m1 rebalance=20000 session=30000
        tick 500
        > a is #1 in 1 range, #1 leads #1:m1
        a sync a:x
        > a reads x
        b join range:m2 rebalance=15000
        a beat
        > a the group rebalances: join again
        tick 19999
        tick 1
        > b is #2 in 2 range, #2 leads #2:m2
        a beat
        > a the group has no such member
        b sync b:all
        > b reads all
        ",
    );
}

#[test]
fn who_does_not_ask_what_to_read_is_dropped() {
    check(
        "
        a join range:m1 rebalance=20000 session=30000
        b join range:m2 rebalance=20000 session=30000
        tick 500
        tick 500
        > a is #1 in 1 range, #1 leads #1:m1 #2:m2
        > b is #2 in 1 range, #1 leads
        a sync a:x b:y
        > a reads x
        tick 10000
        a beat
        > a alive
        b beat
        > b alive
        tick 10000
        a beat
        > a the group rebalances: join again
        a join range:m1 rebalance=20000
        > a is #1 in 2 range, #1 leads #1:m1
        ",
    );
}

#[test]
fn a_static_member_comes_back_unnoticed() {
    check(
        "
        a join instance=i range:m1
        b join range:m2
        tick 500
        tick 500
        > b is #2 in 1 range, #1 leads
        > a is #1 in 1 range, #1 leads #2:m2 #1:m1
        a sync a:x b:y
        > a reads x
        b sync
        > b reads y
        a fresh join instance=i range:m1
        > a is #3 in 1 range, #1 leads
        a sync
        > a reads x
        b beat
        > b alive
        a fresh join instance=i range:m1 skip
        > a is #4 in 1 range, #4 leads #2:m2 #4:m1 nothing to assign
        crash
        a fresh join instance=i range:m9
        b beat
        > b the group rebalances: join again
        b join range:m2
        > b is #2 in 2 range, #5 leads
        > a is #5 in 2 range, #5 leads #2:m2 #5:m9
        ",
    );
}

#[test]
fn a_static_member_that_was_replaced_is_fenced() {
    check(
        "
        a join instance=i range:m1
        b join range:m2
        tick 500
        tick 500
        > b is #2 in 1 range, #1 leads
        > a is #1 in 1 range, #1 leads #2:m2 #1:m1
        b sync a:x
        c join instance=i range:m1
        > b the group rebalances: join again
        a beat
        > a another member has taken the instance over
        a sync
        > a another member has taken the instance over
        c sync
        > c another member has taken the instance over
        a commit t-0=3
        > a another member has taken the instance over
        a leave
        > a left: another member has taken the instance over
        leave i j
        > c the group has no such member
        > left: ok; the group has no such member
        b beat
        > b the group rebalances: join again
        ",
    );
}

#[test]
fn what_no_group_takes() {
    check(
        "
        a join group= range:m1
        > a the group's name is empty or too long
        a join session=10 range:m1
        > a a session timeout of 10 ms is not between 6000 and 1800000
        a join range:m1 type=
        > a the group's other members do not support the member's protocols
        a join
        > a the group's other members do not support the member's protocols
        a join range:m1
        b join rr:m2
        > b the group's other members do not support the member's protocols
        b join range:m1 type=connect
        > b the group's other members do not support the member's protocols
        tick 500
        > a is #5 in 1 range, #5 leads #5:m1
        a generation=7 beat
        > a generation 7 is not 1
        a generation=1 sync type=connect
        > a the group's other members do not support the member's protocols
        b beat
        > b the group has no such member
        b leave
        > b left: the group has no such member
        ",
    );
}

#[test]
fn two_generations_never_have_one_number() {
    check(
        "
        a join range:m1
        tick 500
        > a is #1 in 1 range, #1 leads #1:m1
        crash
        a sync a:x
        > a reads x
        a beat
        > a alive
        slow
        b join range:m2
        a join range:m1
        crash
        > a this node does not coordinate the group
        > b this node does not coordinate the group
        a beat
        > a alive
        b beat
        > b the group has no such member
        ",
    );
}

#[test]
fn an_answer_waits_for_its_records() {
    check(
        "
        a join range:m1
        slow
        tick 500
        commit t-0=1
        describe
        sync-disk
        > a is #1 in 1 range, #1 leads #1:m1
        > the group has no such member
        > CompletingRebalance consumer  #1:>
        slow
        a commit t-0=1
        > a the group rebalances: join again
        lose
        a beat
        > a this node does not coordinate the group
        gain
        a beat
        > a the groups are still being read
        ",
    );
}

#[test]
fn offsets_are_kept_as_they_are_committed() {
    check(
        "
        commit t-0=5/words t-1=7 u-0=9
        > committed: ok; ok; ok
        fetch t-0 t-2
        > found t-0=5/words t-2=none
        fetch all
        > found t-0=5/words t-1=7 u-0=9
        crash
        fetch all
        > found t-0=5/words t-1=7 u-0=9
        commit t-0=3
        > committed: ok
        fetch t-0
        > found t-0=3
        forget t-0 t-9
        > forgotten: ok; ok
        fetch all
        > found t-1=7 u-0=9
        topics t=2 u=1
        topics u=1
        fetch all
        > found u-0=9
        delete
        > deleted
        fetch all
        > found
        delete
        > there is no such group of this kind
        list
        >
        ",
    );
}

#[test]
fn a_transaction_holds_offsets_back() {
    check(
        "
        commit t-0=5
        > committed: ok
        txn 7 t-0=9 t-1=1
        > committed: ok; ok
        fetch t-0 t-1
        > found t-0=5 t-1=none
        fetch stable t-0 t-1 t-2
        > found t-0=a transaction with the offset is not ended t-1=a transaction with the offset is not ended t-2=none
        crash
        fetch stable all
        > found t-0=a transaction with the offset is not ended t-1=a transaction with the offset is not ended
        commit t-0=20
        > committed: ok
        end 7 commit
        > end committed:
        fetch stable all
        > found t-0=a transaction with the offset is not ended t-1=a transaction with the offset is not ended
        end 7 commit
        > end committed:
        txn 8 t-0=30
        > committed: ok
        txn 8 at=1 t-0=31
        > committed: ok
        txn 8 t-0=32
        > producer epoch 0 is fenced by 1
        end 8
        > ended
        fetch stable t-0
        > found t-0=a transaction with the offset is not ended
        end 8 at=1
        > ended
        fetch stable t-0
        > found t-0=a transaction with the offset is not ended
        ",
    );
}

#[test]
fn only_members_of_now_commit_for_a_group_with_members() {
    check(
        "
        a join range:m1
        tick 500
        > a is #1 in 1 range, #1 leads #1:m1
        a sync a:x
        > a reads x
        commit t-0=1
        > the group has no such member
        txn 7 t-0=1
        > committed: ok
        a generation=0 commit t-0=1
        > a generation 0 is not 1
        b commit t-0=1
        > b the group has no such member
        b generation=1 commit t-0=1
        > b the group has no such member
        c generation=3 group=other commit t-0=1
        > c there is no such group of this kind
        a generation=1 commit t-0=1
        > a committed: ok
        a leave
        > a left: ok
        commit t-0=2
        > committed: ok
        ",
    );
}

#[test]
fn operators_see_and_delete_groups() {
    check(
        "
        a join range:reads-t,u
        tick 500
        > a is #1 in 1 range, #1 leads #1:tu
        describe
        > CompletingRebalance consumer  #1:>
        a sync a:x
        > a reads x
        describe
        > Stable consumer range #1:tu>x
        commit t-0=1
        > the group has no such member
        a commit t-0=1 v-0=1
        > a committed: ok; ok
        forget t-0 v-0
        > forgotten: the group is subscribed to the topic; ok
        delete
        > the group has members
        a leave
        > a left: ok
        list
        > g classic consumer Empty
        forget t-0
        > forgotten: ok
        delete
        > deleted
        describe
        > there is no such group of this kind
        list
        >
        ",
    );
}

#[test]
fn offsets_live_on_for_a_while_after_their_group() {
    check(
        "
        commit t-0=1 retention=1000
        > committed: ok
        a join range:m1
        tick 500
        > a is #1 in 1 range, #1 leads #1:m1
        a sync a:x
        > a reads x
        a commit t-1=2
        > a committed: ok
        a leave
        > a left: ok
        tick 600000
        fetch all
        > found t-1=2
        tick 604199999
        fetch all
        > found t-1=2
        tick 600000
        fetch all
        > found
        list
        >
        ",
    );
}

#[test]
fn members_of_the_new_protocol_move_step_by_step() {
    check(
        "
        topics t=4
        a poll topics=t held= rebalance=30000
        > a is #1 in 1 reads [t0,t1,t2,t3]
        b poll topics=t held= rebalance=30000
        > b is #2 in 2 reads []
        a poll
        > a is #1 in 1 reads [t0,t1]
        b poll
        > b is #2 in 2
        a poll held=t0,t1
        > a is #1 in 2 reads [t0,t1]
        b poll
        > b is #2 in 2 reads [t2,t3]
        b poll
        > b is #2 in 2
        describe-consumer
        > Stable 2 uniform: #1 in 2 [t0,t1] to [t0,t1]; #2 in 2 [t2,t3] to [t2,t3]
        b commit t-0=1
        > b committed: ok
        b generation=1 commit t-0=1
        > b epoch 1 is not 2
        b generation=0 fetch t-0
        > b epoch 0 is not 2
        b generation=2 fetch t-0
        > b found t-0=1
        b poll epoch=-1
        > b is #2 in -1
        a poll
        > a is #1 in 3 reads [t0,t1,t2,t3]
        describe
        > there is no such group of this kind
        list
        > g consumer consumer Stable
        ",
    );
}

#[test]
fn a_member_that_does_not_let_go_is_dropped() {
    check(
        "
        topics t=2
        a poll topics=t held= rebalance=10000
        > a is #1 in 1 reads [t0,t1]
        b poll topics=t held= rebalance=10000
        > b is #2 in 2 reads []
        a poll
        > a is #1 in 1 reads [t0]
        tick 9999
        a poll
        > a is #1 in 1
        b poll
        > b is #2 in 2
        tick 1
        a poll
        > a the group has no such member
        b poll
        > b is #2 in 3 reads [t0,t1]
        tick 45000
        b poll
        > b the group has no such member
        list
        > g consumer consumer Empty
        ",
    );
}

#[test]
fn a_new_coordinator_goes_on_where_the_old_one_was() {
    check(
        "
        topics t=2
        a poll topics=t held= rebalance=10000
        > a is #1 in 1 reads [t0,t1]
        b poll topics=t held= rebalance=10000
        > b is #2 in 2 reads []
        a poll
        > a is #1 in 1 reads [t0]
        crash
        b poll
        > b is #2 in 2
        a poll held=t0
        > a is #1 in 2 reads [t0]
        b poll
        > b is #2 in 2 reads [t1]
        describe-consumer
        > Stable 2 uniform: #1 in 2 [t0] to [t0]; #2 in 2 [t1] to [t1]
        ",
    );
}

#[test]
fn an_answer_that_is_lost_is_given_again() {
    check(
        "
        topics t=2
        a poll topics=t held= rebalance=10000
        > a is #1 in 1 reads [t0,t1]
        b poll topics=u held= rebalance=10000
        > b is #2 in 2 reads []
        a poll
        > a is #1 in 2 reads [t0,t1]
        a generation=1 poll
        > a epoch 1 is fenced by 2: join anew
        a generation=1 poll held=t0,t1
        > a is #1 in 2 reads [t0,t1]
        a generation=1 poll held=t0,u1
        > a epoch 1 is fenced by 2: join anew
        a generation=5 poll
        > a epoch 5 is fenced by 2: join anew
        a generation=0 poll
        > a a member that joins says its rebalance timeout
        c poll epoch=3
        > c a member that has joined says its id
        a generation=0 poll topics=t held= rebalance=10000
        > a is #1 in 2 reads [t0,t1]
        ",
    );
}

#[test]
fn an_instance_comes_back_to_what_it_read() {
    check(
        "
        topics t=2
        a poll topics=t instance=i held= rebalance=10000
        > a is #1 in 1 reads [t0,t1]
        b poll topics=t held= rebalance=10000
        > b is #2 in 2 reads []
        c poll topics=t instance=i held= rebalance=10000
        > c another member still has the instance
        a poll epoch=-2
        > a is #1 in -2
        b poll
        > b is #2 in 2 reads [t1]
        c poll epoch=0 topics=t instance=i held= rebalance=10000
        > c is #6 in 2 reads [t0]
        a poll epoch=2
        > a another member has taken the instance over
        b poll
        > b is #2 in 2
        c poll held=t0
        > c is #6 in 2
        b poll
        > b is #2 in 2
        c poll epoch=-2
        > c is #6 in -2
        tick 45000
        b poll epoch=0 topics=t held= rebalance=10000
        > b is #2 in 4 reads [t0,t1]
        describe-consumer
        > Stable 4 uniform: #2 in 4 [t0,t1] to [t0,t1]
        ",
    );
}

#[test]
fn topics_come_and_go() {
    check(
        "
        a poll topics=t held= rebalance=10000
        > a is #1 in 1 reads []
        topics t=1
        a poll
        > a is #1 in 2 reads [t0]
        topics t=2 u=1
        a poll
        > a is #1 in 3 reads [t0,t1]
        topics u=1
        a poll
        > a is #1 in 3 reads []
        a poll held=
        > a is #1 in 4 reads []
        ",
    );
}

#[test]
fn patterns_are_resolved_before_anything_is_taken_away() {
    check(
        "
        topics t=1 u=1
        a poll pattern=t.* held= rebalance=10000
        > resolve t.*
        > a is #1 in 1 reads []
        describe-consumer
        > Assigning 1 uniform: #1 in 1 [] to []
        a poll
        > a is #1 in 1
        resolved t.* t
        a poll
        > a is #1 in 2 reads [t0]
        crash
        > resolve t.*
        a poll
        > a is #1 in 2
        topics t=2 u=1
        > resolve t.*
        resolved t.* t
        a poll
        > a is #1 in 3 reads [t0,t1]
        a poll pattern= topics=u
        > a is #1 in 3 reads []
        a poll held=
        > a is #1 in 4 reads [u0]
        resolved t.* t
        ",
    );
}

#[test]
fn groups_change_their_protocol_when_they_are_empty() {
    check(
        "
        topics t=1
        a join range:m1
        tick 500
        > a is #1 in 1 range, #1 leads #1:m1
        a sync a:x
        > a reads x
        a commit t-0=4
        > a committed: ok
        b poll topics=t held= rebalance=10000
        > b there is no such group of this kind
        a leave
        > a left: ok
        b poll topics=t held= rebalance=10000
        > b is #3 in 3 reads [t0]
        c join range:m2
        > c the group's other members do not support the member's protocols
        c beat
        > c the group has no such member
        fetch t-0
        > found t-0=4
        crash
        b poll
        > b is #3 in 3
        b poll epoch=-1
        > b is #3 in -1
        c fresh join range:m2
        tick 500
        > c is #7 in 5 range, #7 leads #7:m2
        fetch t-0
        > found t-0=4
        describe-consumer
        > there is no such group of this kind
        list
        > g classic consumer CompletingRebalance
        ",
    );
}

#[test]
fn what_a_heartbeat_must_say() {
    check(
        "
        a poll topics=t rebalance=1
        > a a member that joins reads nothing and says so
        a poll topics=t held=t0 rebalance=1
        > a a member that joins reads nothing and says so
        a poll topics=t held=
        > a a member that joins says its rebalance timeout
        a poll held= rebalance=1
        > a a member that joins says what it wants
        a poll topics=t held= rebalance=1 assignor=sticky
        > a there is no assignor sticky
        a poll topics=t held= rebalance=1 assignor=range
        > a is #6 in 1 reads []
        a poll epoch=-2
        > a only an instance may come back
        a poll epoch=-3
        > a no such epoch
        b poll epoch=-1
        > b a member that has joined says its id
        ",
    );
}

#[test]
fn time_that_nobody_could_be_heard_is_no_silence() {
    check(
        "
        a join range:m1
        tick 500
        > a is #1 in 1 range, #1 leads #1:m1
        a sync a:x
        > a reads x
        slept 60000
        tick 9999
        list
        > g classic consumer Stable
        tick 1
        list
        > g classic consumer Empty
        ",
    );
}
