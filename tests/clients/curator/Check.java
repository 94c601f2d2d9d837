import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.Participant;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;

/**
 * Curator's recipes against a running server: one line a check, exit status 0
 * when all hold. Run from source:
 *
 *   java -cp 'JARS/*' Check.java HOSTS [full]
 *   java -cp 'JARS/*' Check.java HOSTS hold PATH    leads at PATH until killed
 */
public class Check {
    /** Killed leaders are noticed after this, so that the check stays short. */
    static final int SESSION_MS = 6_000;
    static final int CONNECT_MS = 10_000;
    /** Servers look for empty containers and stale TTL nodes once a minute. */
    static final int REAP_SECONDS = 150;
    static final int EVENT_SECONDS = 15;

    static String hosts;
    static int failed;

    interface Body {
        void run(CuratorFramework client) throws Exception;
    }

    public static void main(String[] args) throws Exception {
        hosts = args[0];
        if (args.length == 3 && args[1].equals("hold")) {
            hold(args[2]);
        }
        check("creates parents as containers", Check::containerParents);
        check("creates every kind of node", Check::kinds);
        check("a latch passes on when its leader closes", Check::latchCloses);
        check("a latch passes on when its leader's process is killed", Check::latchDies);
        check("a mutex lets one in at a time", Check::mutex);
        check("a read-write lock lets readers in together", Check::readWriteLock);
        check("a cache sees creates, changes and deletes below its root", Check::cache);
        check("a cache goes on after its connection broke", Check::cacheReconnects);
        check("a transaction is whole", Check::transaction);
        check("a failed transaction leaves nothing and names its failures", Check::transactionFails);
        check("a removed watcher stays silent, an unknown one is refused", Check::removeWatches);
        check("all watchers of a path go at once", Check::removeAllWatches);
        check("a persistent watcher fires again and again", Check::persistentWatch);
        check("ephemerals are listed by prefix", Check::ephemerals);
        check("children are counted at every depth", Check::countChildren);
        check("an ACL shuts others out", Check::acl);
        check("a version guards sets and deletes", Check::versions);
        check("a counter counts under contention", Check::counter);
        check("a queue gives each item once", Check::queue);
        check("a double barrier opens when all are there", Check::barrier);
        check("a persistent node comes back when deleted", Check::persistentNode);
        check("sync and the ensemble's configuration answer", Check::syncAndConfig);
        check("a session's ephemerals go when it closes", Check::sessionCloses);
        if (args.length == 2 && args[1].equals("full")) {
            check("an emptied container is reaped", Check::containerReaped);
            check("a stale TTL node is reaped, a fresh one is kept", Check::ttlReaped);
        }
        System.exit(failed == 0 ? 0 : 1);
    }

    static void check(String says, Body body) {
        String verdict = "ok";
        try (CuratorFramework client = connect()) {
            body.run(client);
        } catch (Throwable why) {
            failed++;
            StackTraceElement[] at = why.getStackTrace();
            verdict = "FAILED " + why + (at.length > 0 ? " at " + at[0] : "");
            for (StackTraceElement frame : at) {
                if (frame.getClassName().startsWith("Check")) {
                    verdict += ", line " + frame.getLineNumber();
                    break;
                }
            }
        }
        System.out.println(verdict.replace('\n', ' ') + " : " + says);
    }

    static CuratorFramework connect() throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(
                hosts, SESSION_MS, CONNECT_MS, new ExponentialBackoffRetry(200, 5));
        client.start();
        require(client.blockUntilConnected(30, TimeUnit.SECONDS), "no connection");
        return client;
    }

    static void require(boolean holds, String says) {
        if (!holds) {
            throw new AssertionError(says);
        }
    }

    static void comesTrue(String says, int seconds, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (!condition.call()) {
            require(System.nanoTime() < deadline, "never came true: " + says);
            Thread.sleep(20);
        }
    }

    static byte[] bytes(String text) {
        return text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return new String(bytes, java.nio.charset.StandardCharsets.UTF_8);
    }

    static void containerParents(CuratorFramework client) throws Exception {
        client.create().creatingParentContainersIfNeeded().forPath("/parents/a/b", bytes("x"));
        // That a node is a container is the server's own affair: clients see no owner.
        for (String path : List.of("/parents", "/parents/a", "/parents/a/b")) {
            Stat stat = client.checkExists().forPath(path);
            require(stat != null && stat.getEphemeralOwner() == 0, path + " is " + stat);
        }
    }

    static void kinds(CuratorFramework client) throws Exception {
        for (CreateMode mode : CreateMode.values()) {
            Stat stat = new Stat();
            var create = client.create();
            String path = mode.isTTL()
                    ? create.withTtl(100_000).storingStatIn(stat).creatingParentsIfNeeded()
                            .withMode(mode).forPath("/kinds/" + mode + "-", bytes("x"))
                    : create.storingStatIn(stat).creatingParentsIfNeeded()
                            .withMode(mode).forPath("/kinds/" + mode + "-", bytes("x"));
            require(mode.isSequential() == path.matches(".*-\\d{10}"), path);
            require(client.checkExists().forPath(path).equals(stat), mode + " answered another stat");
            long owner = stat.getEphemeralOwner();
            long session = client.getZookeeperClient().getZooKeeper().getSessionId();
            require(owner == (mode.isEphemeral() ? session : 0), mode + " is owned by " + Long.toHexString(owner));
        }
    }

    static void latchCloses(CuratorFramework client) throws Exception {
        try (CuratorFramework other = connect();
                LeaderLatch second = new LeaderLatch(other, "/latch", "second")) {
            LeaderLatch first = new LeaderLatch(client, "/latch", "first");
            first.start();
            require(first.await(EVENT_SECONDS, TimeUnit.SECONDS), "the first never leads");
            second.start();
            comesTrue("both take part", EVENT_SECONDS, () -> first.getParticipants().size() == 2);
            require(!second.hasLeadership() && first.hasLeadership(), "two lead");
            require(second.getLeader().getId().equals("first"), "another leader is named");
            first.close();
            require(second.await(EVENT_SECONDS, TimeUnit.SECONDS), "the second never leads");
        }
    }

    static void hold(String path) throws Exception {
        LeaderLatch latch = new LeaderLatch(connect(), path, "held");
        latch.start();
        latch.await();
        Thread.sleep(Long.MAX_VALUE);
    }

    static void latchDies(CuratorFramework client) throws Exception {
        Process held = new ProcessBuilder(
                ProcessHandle.current().info().command().orElseThrow(),
                "-cp", System.getProperty("java.class.path"),
                System.getProperty("check.source"), hosts, "hold", "/dies")
                .redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
        try (LeaderLatch heir = new LeaderLatch(client, "/dies", "heir")) {
            LeaderLatch asks = new LeaderLatch(client, "/dies", "asks");
            comesTrue("the other process leads", 180, () -> {
                Participant leader = asks.getLeader();
                return leader.getId().equals("held") && leader.isLeader();
            });
            heir.start();
            comesTrue("the heir waits", EVENT_SECONDS, () -> heir.getParticipants().size() == 2);
            require(!heir.hasLeadership(), "two lead");
            held.destroyForcibly().waitFor();
            long died = System.nanoTime();
            require(heir.await(5L * SESSION_MS, TimeUnit.MILLISECONDS), "the heir never leads");
            long waited = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - died);
            require(waited > SESSION_MS / 3, "took over after " + waited + " ms, before a session can expire");
        } finally {
            held.destroyForcibly();
        }
    }

    static void mutex(CuratorFramework client) throws Exception {
        AtomicInteger inside = new AtomicInteger(), most = new AtomicInteger(), rounds = new AtomicInteger();
        contend(6, number -> {
            try (CuratorFramework own = connect()) {
                InterProcessMutex lock = new InterProcessMutex(own, "/mutex");
                for (int round = 0; round < 5; round++) {
                    require(lock.acquire(60, TimeUnit.SECONDS), "never got in");
                    require(lock.acquire(1, TimeUnit.SECONDS), "is not reentrant");
                    most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                    rounds.incrementAndGet();
                    Thread.sleep(2);
                    inside.decrementAndGet();
                    lock.release();
                    lock.release();
                }
            }
        });
        require(most.get() == 1, most + " were inside together");
        require(rounds.get() == 30, rounds + " of 30 rounds");
        InterProcessMutex held = new InterProcessMutex(client, "/mutex");
        held.acquire();
        try (CuratorFramework other = connect()) {
            InterProcessMutex late = new InterProcessMutex(other, "/mutex");
            require(!late.acquire(300, TimeUnit.MILLISECONDS), "a held lock was given");
            // The two may be with two servers, and a read is of the one's own.
            client.sync().forPath("/mutex");
            require(held.getParticipantNodes().size() == 1, "the one who gave up is still in line");
        }
        held.release();
    }

    interface Contender {
        void run(int number) throws Exception;
    }

    static void contend(int count, Contender contender) throws Exception {
        List<Throwable> failures = java.util.Collections.synchronizedList(new ArrayList<>());
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int number = i;
            Thread thread = new Thread(() -> {
                try {
                    contender.run(number);
                } catch (Throwable why) {
                    failures.add(why);
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        if (!failures.isEmpty()) {
            throw new AssertionError(failures.toString(), failures.get(0));
        }
    }

    static void readWriteLock(CuratorFramework client) throws Exception {
        try (CuratorFramework other = connect(); CuratorFramework third = connect()) {
            var one = new InterProcessReadWriteLock(client, "/rw");
            var two = new InterProcessReadWriteLock(other, "/rw");
            var writer = new InterProcessReadWriteLock(third, "/rw");
            one.readLock().acquire();
            require(two.readLock().acquire(5, TimeUnit.SECONDS), "a second reader waits");
            require(!writer.writeLock().acquire(300, TimeUnit.MILLISECONDS), "a writer got in");
            one.readLock().release();
            two.readLock().release();
            require(writer.writeLock().acquire(5, TimeUnit.SECONDS), "the writer never got in");
            require(!two.readLock().acquire(300, TimeUnit.MILLISECONDS), "a reader got in");
            writer.writeLock().release();
        }
    }

    static CuratorCache cache(CuratorFramework client, String root, BlockingQueue<String> seen) throws Exception {
        CuratorCache cache = CuratorCache.build(client, root);
        CountDownLatch ready = new CountDownLatch(1);
        cache.listenable().addListener(CuratorCacheListener.builder()
                .forInitialized(ready::countDown)
                .forCreates(node -> seen.add("created " + node.getPath()))
                .forChanges((before, node) -> seen.add("changed " + node.getPath() + " " + text(node.getData())))
                .forDeletes(node -> seen.add("deleted " + node.getPath()))
                .build());
        cache.start();
        require(ready.await(EVENT_SECONDS, TimeUnit.SECONDS), "the cache is never filled");
        return cache;
    }

    static void expect(BlockingQueue<String> seen, String wanted) throws Exception {
        String got;
        do {
            got = seen.poll(EVENT_SECONDS, TimeUnit.SECONDS);
            require(got != null, "never seen: " + wanted);
        } while (!got.equals(wanted));
    }

    static void cache(CuratorFramework client) throws Exception {
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        client.create().creatingParentsIfNeeded().forPath("/cache/old", bytes("1"));
        try (CuratorFramework other = connect(); CuratorCache cache = cache(client, "/cache", seen)) {
            expect(seen, "created /cache/old");
            other.create().creatingParentsIfNeeded().forPath("/cache/deep/er/leaf", bytes("1"));
            expect(seen, "created /cache/deep/er/leaf");
            for (int i = 2; i < 30; i++) {
                other.setData().forPath("/cache/deep/er/leaf", bytes("" + i));
            }
            expect(seen, "changed /cache/deep/er/leaf 29");
            other.delete().forPath("/cache/deep/er/leaf");
            expect(seen, "deleted /cache/deep/er/leaf");
            for (int i = 0; i < 50; i++) {
                other.create().forPath("/cache/many" + i, bytes("x"));
            }
            comesTrue("the cache holds 54 nodes", EVENT_SECONDS, () -> cache.size() == 54);
            other.delete().deletingChildrenIfNeeded().forPath("/cache");
            comesTrue("the cache is empty", EVENT_SECONDS, () -> cache.size() == 0);
        }
    }

    static void cacheReconnects(CuratorFramework client) throws Exception {
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        client.create().forPath("/broken", bytes("1"));
        try (CuratorFramework other = connect(); CuratorCache cache = cache(client, "/broken", seen)) {
            expect(seen, "created /broken");
            ZooKeeper inner = client.getZookeeperClient().getZooKeeper();
            long session = inner.getSessionId();
            // The socket alone is closed: the session moves to another server and
            // the client sets its watches again.
            inner.getTestable().closeSocket();
            other.create().forPath("/broken/while", bytes("away"));
            other.setData().forPath("/broken", bytes("2"));
            comesTrue("the cache has caught up", EVENT_SECONDS, () -> cache.size() == 2
                    && text(cache.get("/broken").orElseThrow().getData()).equals("2"));
            require(inner.getSessionId() == session, "the session is another");
            other.setData().forPath("/broken/while", bytes("again"));
            expect(seen, "changed /broken/while again");
        }
    }

    static void transaction(CuratorFramework client) throws Exception {
        client.create().forPath("/tx", bytes("x"));
        List<CuratorTransactionResult> results = client.transaction().forOperations(
                client.transactionOp().create().forPath("/tx/a", bytes("1")),
                client.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath("/tx/s-", bytes("2")),
                client.transactionOp().setData().withVersion(0).forPath("/tx", bytes("y")),
                client.transactionOp().check().withVersion(1).forPath("/tx"),
                client.transactionOp().delete().forPath("/tx/a"));
        require(results.size() == 5, results.size() + " results");
        require(results.get(0).getResultPath().equals("/tx/a"), "path " + results.get(0).getResultPath());
        require(results.get(1).getResultPath().equals("/tx/s-0000000001"), "path " + results.get(1).getResultPath());
        require(results.get(2).getResultStat().getVersion() == 1, "version of the set");
        Stat stat = client.checkExists().forPath("/tx/s-0000000001");
        require(stat.getCzxid() == client.checkExists().forPath("/tx").getMzxid(), "two transactions");
        require(client.getChildren().forPath("/tx").equals(List.of("s-0000000001")), "children");
    }

    static void transactionFails(CuratorFramework client) throws Exception {
        client.create().forPath("/txf", bytes("x"));
        try {
            client.transaction().forOperations(
                    client.transactionOp().create().forPath("/txf/a"),
                    client.transactionOp().check().withVersion(7).forPath("/txf"),
                    client.transactionOp().create().forPath("/txf/b"));
            throw new AssertionError("it was accepted");
        } catch (KeeperException.BadVersionException why) {
            List<Integer> codes = why.getResults().stream()
                    .map(result -> ((org.apache.zookeeper.OpResult.ErrorResult) result).getErr()).toList();
            require(codes.equals(List.of(0, -103, -2)), "codes " + codes);
        }
        require(client.getChildren().forPath("/txf").isEmpty(), "something was left");
    }

    static void removeWatches(CuratorFramework client) throws Exception {
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        Watcher watcher = event -> seen.add(event.getType() + " " + event.getPath());
        client.create().forPath("/rm", bytes("x"));
        client.getData().usingWatcher(watcher).forPath("/rm");
        client.watches().remove(watcher).ofType(Watcher.WatcherType.Data).forPath("/rm");
        expect(seen, "DataWatchRemoved /rm");
        client.setData().forPath("/rm", bytes("y"));
        client.sync().forPath("/rm");
        require(seen.isEmpty(), "heard " + seen);
        ZooKeeper inner = client.getZookeeperClient().getZooKeeper();
        try {
            inner.removeWatches("/rm", watcher, Watcher.WatcherType.Data, false);
            throw new AssertionError("an unknown watcher was removed");
        } catch (KeeperException.NoWatcherException wanted) {
            require(wanted.code() == KeeperException.Code.NOWATCHER, "code");
        }
    }

    static void removeAllWatches(CuratorFramework client) throws Exception {
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        Watcher watcher = event -> seen.add(event.getType() + " " + event.getPath());
        client.create().forPath("/rma", bytes("x"));
        client.getData().usingWatcher(watcher).forPath("/rma");
        client.getChildren().usingWatcher(watcher).forPath("/rma");
        client.watches().removeAll().ofType(Watcher.WatcherType.Any).forPath("/rma");
        comesTrue("both are told", EVENT_SECONDS, () -> seen.size() == 2);
        client.create().forPath("/rma/child");
        client.setData().forPath("/rma", bytes("y"));
        client.sync().forPath("/rma");
        require(Set.copyOf(seen).equals(Set.of("DataWatchRemoved /rma", "ChildWatchRemoved /rma")), "heard " + seen);
    }

    static void persistentWatch(CuratorFramework client) throws Exception {
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        Watcher watcher = event -> seen.add(event.getType() + " " + event.getPath());
        client.create().forPath("/pw", bytes("x"));
        client.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher(watcher).forPath("/pw");
        client.setData().forPath("/pw", bytes("1"));
        client.setData().forPath("/pw", bytes("2"));
        client.create().forPath("/pw/child");
        client.delete().forPath("/pw/child");
        client.delete().forPath("/pw");
        client.create().forPath("/pw", bytes("again"));
        for (String wanted : List.of("NodeDataChanged /pw", "NodeDataChanged /pw", "NodeChildrenChanged /pw",
                "NodeChildrenChanged /pw", "NodeDeleted /pw", "NodeCreated /pw")) {
            String got = seen.poll(EVENT_SECONDS, TimeUnit.SECONDS);
            require(wanted.equals(got), "wanted " + wanted + ", heard " + got);
        }
    }

    static void ephemerals(CuratorFramework client) throws Exception {
        client.create().creatingParentsIfNeeded().forPath("/eph/p", bytes("x"));
        for (String name : List.of("a", "b", "other")) {
            client.create().withMode(CreateMode.EPHEMERAL).forPath("/eph/" + name, bytes("x"));
        }
        ZooKeeper inner = client.getZookeeperClient().getZooKeeper();
        require(Set.copyOf(inner.getEphemerals("/eph")).equals(Set.of("/eph/a", "/eph/b", "/eph/other")),
                "listed " + inner.getEphemerals("/eph"));
        require(inner.getEphemerals("/eph/o").equals(List.of("/eph/other")), "by prefix");
        require(inner.getEphemerals().size() == 3, "all");
    }

    static void countChildren(CuratorFramework client) throws Exception {
        client.create().creatingParentsIfNeeded().forPath("/count/a/b/c", bytes("x"));
        client.create().forPath("/count/d", bytes("x"));
        ZooKeeper inner = client.getZookeeperClient().getZooKeeper();
        require(inner.getAllChildrenNumber("/count") == 4, "counted " + inner.getAllChildrenNumber("/count"));
    }

    static void acl(CuratorFramework client) throws Exception {
        try (CuratorFramework owner = CuratorFrameworkFactory.builder().connectString(hosts)
                .sessionTimeoutMs(SESSION_MS).connectionTimeoutMs(CONNECT_MS)
                .retryPolicy(new ExponentialBackoffRetry(200, 5))
                .authorization("digest", bytes("owner:secret")).build()) {
            owner.start();
            owner.create().withACL(ZooDefs.Ids.CREATOR_ALL_ACL).forPath("/mine", bytes("x"));
            List<ACL> acl = owner.getACL().forPath("/mine");
            require(acl.size() == 1 && acl.get(0).getId().getScheme().equals("digest"), "acl " + acl);
            client.sync().forPath("/mine");
            try {
                client.getData().forPath("/mine");
                throw new AssertionError("a stranger reads");
            } catch (KeeperException.NoAuthException wanted) {
                require(wanted.getPath().equals("/mine"), "path");
            }
            owner.delete().forPath("/mine");
        }
    }

    static void versions(CuratorFramework client) throws Exception {
        client.create().forPath("/version", bytes("x"));
        require(client.setData().withVersion(0).forPath("/version", bytes("y")).getVersion() == 1, "version");
        try {
            client.setData().withVersion(0).forPath("/version", bytes("z"));
            throw new AssertionError("a stale version was taken");
        } catch (KeeperException.BadVersionException wanted) {
            require(text(client.getData().forPath("/version")).equals("y"), "data");
        }
        try {
            client.delete().withVersion(0).forPath("/version");
            throw new AssertionError("a stale version was deleted");
        } catch (KeeperException.BadVersionException wanted) {
            client.delete().withVersion(1).forPath("/version");
        }
    }

    static void counter(CuratorFramework client) throws Exception {
        contend(4, number -> {
            try (CuratorFramework own = connect()) {
                var counter = new DistributedAtomicLong(own, "/counter", new ExponentialBackoffRetry(5, 20));
                for (int i = 0; i < 10; ) {
                    if (counter.increment().succeeded()) {
                        i++;
                    }
                }
            }
        });
        client.sync().forPath("/counter");
        var counter = new DistributedAtomicLong(client, "/counter", new ExponentialBackoffRetry(5, 20));
        require(counter.get().postValue() == 40, "counted " + counter.get().postValue());
    }

    static void queue(CuratorFramework client) throws Exception {
        Map<String, Integer> taken = new ConcurrentHashMap<>();
        var items = new SimpleDistributedQueue(client, "/queue");
        for (int i = 0; i < 40; i++) {
            require(items.offer(bytes("item" + i)), "refused");
        }
        contend(3, number -> {
            try (CuratorFramework own = connect()) {
                // Nothing this connection reads may be older than what was offered.
                own.sync().forPath("/queue");
                var line = new SimpleDistributedQueue(own, "/queue");
                for (byte[] item; (item = line.poll()) != null; ) {
                    taken.merge(text(item), 1, Integer::sum);
                }
            }
        });
        require(taken.size() == 40 && taken.values().stream().allMatch(times -> times == 1), "taken " + taken);
    }

    static void barrier(CuratorFramework client) throws Exception {
        AtomicInteger arrived = new AtomicInteger(), early = new AtomicInteger();
        contend(3, number -> {
            try (CuratorFramework own = connect()) {
                var barrier = new DistributedDoubleBarrier(own, "/barrier", 3);
                Thread.sleep(100L * number);
                arrived.incrementAndGet();
                require(barrier.enter(30, TimeUnit.SECONDS), "never entered");
                if (arrived.get() != 3) {
                    early.incrementAndGet();
                }
                require(barrier.leave(30, TimeUnit.SECONDS), "never left");
            }
        });
        require(early.get() == 0, early + " entered before all were there");
    }

    static void persistentNode(CuratorFramework client) throws Exception {
        try (CuratorFramework other = connect();
                PersistentNode node = new PersistentNode(client, CreateMode.EPHEMERAL, false, "/stays", bytes("x"))) {
            node.start();
            require(node.waitForInitialCreate(EVENT_SECONDS, TimeUnit.SECONDS), "never created");
            other.sync().forPath("/stays");
            long before = other.checkExists().forPath("/stays").getCzxid();
            other.delete().forPath("/stays");
            comesTrue("it is back", EVENT_SECONDS, () -> {
                Stat stat = other.checkExists().forPath("/stays");
                return stat != null && stat.getCzxid() > before;
            });
        }
    }

    static void syncAndConfig(CuratorFramework client) throws Exception {
        client.sync().forPath("/");
        String config = text(client.getConfig().forEnsemble());
        for (int i = 1; i <= 3; i++) {
            require(config.contains("server." + i + "="), config);
        }
        require(config.contains("version="), config);
    }

    static void sessionCloses(CuratorFramework client) throws Exception {
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        CuratorFramework brief = connect();
        brief.create().withMode(CreateMode.EPHEMERAL).forPath("/brief", bytes("x"));
        client.sync().forPath("/brief");
        Watcher watcher = event -> seen.add(event.getType() + " " + event.getPath());
        require(client.checkExists().usingWatcher(watcher).forPath("/brief") != null, "not there");
        brief.close();
        expect(seen, "NodeDeleted /brief");
        require(client.checkExists().forPath("/brief") == null, "still there after its event");
    }

    static void containerReaped(CuratorFramework client) throws Exception {
        client.create().creatingParentContainersIfNeeded().forPath("/reaped/child", bytes("x"));
        client.create().withMode(CreateMode.CONTAINER).forPath("/unused", bytes("x"));
        client.delete().forPath("/reaped/child");
        comesTrue("the container is gone", REAP_SECONDS, () -> client.checkExists().forPath("/reaped") == null);
        require(client.checkExists().forPath("/unused") != null, "one that never had a child is gone too");
    }

    static void ttlReaped(CuratorFramework client) throws Exception {
        client.create().withTtl(1_000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/stale", bytes("x"));
        client.create().withTtl(3_600_000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/fresh", bytes("x"));
        comesTrue("the stale node is gone", REAP_SECONDS, () -> client.checkExists().forPath("/stale") == null);
        require(client.checkExists().forPath("/fresh") != null, "the fresh one is gone too");
    }
}
