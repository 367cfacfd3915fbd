import os
from time import sleep

from lambda_multiprocessing import Pool, TimeoutError


def square(x):
    return x * x


def add(a, b):
    return a + b


def parse(text):
    if not text.isdigit():
        raise ValueError(f"no number: {text}")
    return int(text)


def wait(milliseconds):
    sleep(milliseconds / 1000)
    return milliseconds


def process_id():
    return os.getpid()


if __name__ == "__main__":
    with Pool(2) as pool:
        print("apply", pool.apply(square, (3,)), pool.apply(add, (3, 4)))

        first = pool.apply_async(square, (4,))
        second = pool.apply_async(square, (5,))
        print("apply_async", second.get(), first.get(), first.successful())

        slow = pool.apply_async(wait, (300,))
        try:
            slow.get(0.01)
        except TimeoutError:
            print("get", "not yet")
        print("get", slow.get(), bool(slow.ready()))

        print("map", *pool.map(square, range(5)))
        print("map_async", *pool.map_async(square, range(5)).get())
        print("starmap", *pool.starmap(add, [(1, 2), (3, 4)]))
        print("starmap_async", *pool.starmap_async(add, [(1, 2), (3, 4)]).get())

        try:
            pool.apply(parse, ("twelve",))
        except ValueError as error:
            print("error", error)

        pool.close()
        try:
            pool.apply_async(square, (1,))
        except ValueError:
            print("close", "no more work")

    with Pool(1) as pool:
        print("one process: in another one", pool.apply(process_id) != os.getpid())

    with Pool(0) as pool:
        print("no processes: in this one", pool.apply(process_id) == os.getpid())
