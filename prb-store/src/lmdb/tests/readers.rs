use super::*;
use crate::{FailPoint, Step};
use std::sync::{Mutex, mpsc};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_do_not_wait_for_a_write_and_see_nothing_of_it_before_its_end() {
    for step in [Step::OpenTip, Step::RelayHeaders, Step::Changes, Step::Cursor] {
        let folder = tempfile::tempdir().unwrap();
        let (entered, written) = mpsc::channel();
        let (resume, resumed) = mpsc::channel::<()>();
        let (entered, resumed) = (Mutex::new(entered), Mutex::new(resumed));
        let seen = Mutex::new(0);
        let fail_point = FailPoint::new(move |at| {
            let mut seen = seen.lock().unwrap();
            *seen += u32::from(at == Step::Checked);
            // The third append stands still here until the reader is done.
            if at == step && *seen == 3 {
                entered.lock().unwrap().send(()).unwrap();
                resumed.lock().unwrap().recv().unwrap();
            }
            None
        });
        let options = LmdbOptions { fail_point: Some(fail_point), ..small() };
        let store = LmdbStore::open(folder.path(), options).unwrap();
        let mut chain = Synthetic::new(1);
        store.append(chain.begin()).await.unwrap();
        store.append(chain.relay(3, 3, false)).await.unwrap();
        let before = content(&store).await;

        let append = joined(chain.relay(3, 3, false), chain.changes(2, 50));
        let writing = tokio::spawn({
            let store = store.clone();
            async move { store.append(append).await }
        });
        tokio::task::spawn_blocking(move || written.recv().unwrap()).await.unwrap();
        let during = content(&store).await;
        resume.send(()).unwrap();
        writing.await.unwrap().unwrap();

        assert_eq!(during, before, "{step:?}");
        assert_eq!(content(&store).await.cursor.as_ref(), Some(chain.cursor()));
    }
}
